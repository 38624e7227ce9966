"""Celery moving jobs: celery_jobs.py HOST PORT [BROKER RESULTS]. Says "half" when half of them are done, so that the caller can
do something to the servers; exits with 0 when each job was done, with its result. BROKER and RESULTS are what the keys
of either begin with."""

import multiprocessing
import sys
import time

from celery import Celery, chain, group

HOST, PORT, *PREFIXES = sys.argv[1:]
URL = f"redis://{HOST}:{PORT}/0"
JOBS = 200

app = Celery("jobs", broker=URL, backend=URL)
app.conf.worker_hijack_root_logger = False
app.conf.broker_connection_retry_on_startup = True
if PREFIXES:
    app.conf.broker_transport_options = {"global_keyprefix": PREFIXES[0]}
    app.conf.result_backend_transport_options = {"global_keyprefix": PREFIXES[1]}


@app.task
def double(number):
    return number * 2


@app.task
def add(numbers):
    return sum(numbers)


def work():
    app.worker_main(["worker", "--pool=solo", "--loglevel=WARNING", "--without-gossip", "--without-mingle"])


def result(job):
    """Looks for the result, again and again. `job.get` waits for a message, and one that is published while the primary
    is being changed may be missed."""
    until = time.monotonic() + 60
    while not job.ready():
        assert time.monotonic() < until, f"{job} is {job.state}"
        time.sleep(0.01)
    return job.result


def main():
    worker = multiprocessing.Process(target=work, daemon=True)
    worker.start()
    jobs = [double.delay(number) for number in range(JOBS)]
    for number, job in enumerate(jobs):
        if number < JOBS // 2:
            assert job.get(timeout=60) == number * 2
            continue
        if number == JOBS // 2:
            print("half", flush=True)
        assert result(job) == number * 2
    assert chain(double.s(5), double.s(), double.s()).apply_async().get(timeout=60) == 40
    # A chord waits for all parts of its group, by counting in Redis.
    chord = group(double.s(number) for number in range(20)) | add.s()
    assert chord.apply_async().get(timeout=60) == 380
    delayed = double.apply_async([21], countdown=0.5)
    assert delayed.get(timeout=60) == 42
    # It has nothing left to do; a warm shutdown would wait for its next poll.
    worker.kill()
    worker.join(10)
    print("everything as from a single Redis")


if __name__ == "__main__":
    main()
