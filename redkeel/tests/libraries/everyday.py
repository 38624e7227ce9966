"""redis-py's everyday use: everyday.py HOST PORT. Exits with 0 when every reply was as from a single Redis."""

import sys
import threading
import time

import redis

HOST, PORT = sys.argv[1], int(sys.argv[2])


def connect(**options):
    return redis.Redis(HOST, PORT, socket_timeout=15, **options)


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def strings_and_structures(r):
    r.delete("s", "h", "l", "z", "set")
    assert r.set("s", "value") is True
    wait_for(lambda: r.get("s") in ("value", b"value"))
    assert r.incr("n", 5) >= 5
    assert r.hset("h", mapping={"a": "1", "b": "2"}) == 2
    wait_for(lambda: len(r.hgetall("h")) == 2)
    assert r.rpush("l", 1, 2, 3) == 3
    wait_for(lambda: r.llen("l") == 3)
    assert r.zadd("z", {"one": 1, "two": 2}) == 2
    # Reads go to either replica, and each follows the primary at its own pace.
    wait_for(lambda: [float(score) for _, score in r.zrange("z", 0, -1, withscores=True)] == [1.0, 2.0])
    assert r.sadd("set", "x", "y") == 2


def pipelines_and_transactions(r):
    with r.pipeline(transaction=False) as pipe:
        for i in range(500):
            pipe.set(f"pipe:{i}", i).get(f"pipe:{i}")
        replies = pipe.execute()
    assert [int(value) for value in replies[1::2]] == list(range(500))
    with r.pipeline() as pipe:
        pipe.delete("counter").incr("counter").incr("counter")
        assert pipe.execute()[1:] == [1, 2]

    def double(pipe):
        value = int(pipe.get("counter"))
        pipe.multi()
        pipe.set("counter", value * 2)

    for _ in range(5):
        r.transaction(double, "counter")
    assert int(r.incr("counter", 0)) == 64
    pipe = r.pipeline()
    pipe.watch("counter")
    r.set("counter", 1)
    pipe.multi()
    pipe.set("counter", 2)
    try:
        pipe.execute()
        raise AssertionError("a watched key changed, and EXEC ran")
    except redis.WatchError:
        pass


def pub_sub(r):
    subscriber = r.pubsub()
    subscriber.subscribe("channel")
    subscriber.psubscribe("pattern:*")
    for _ in range(2):
        assert subscriber.get_message(timeout=10)["type"].endswith("subscribe")
    assert r.publish("channel", "hello") == 1
    assert r.publish("pattern:1", "world") == 1
    seen = [subscriber.get_message(timeout=10) for _ in range(2)]
    assert [m["type"] for m in seen] == ["message", "pmessage"], seen
    subscriber.unsubscribe("channel")
    assert subscriber.get_message(timeout=10)["type"] == "unsubscribe"
    subscriber.close()


def blocking(r):
    r.delete("queue")
    popped = []
    thread = threading.Thread(target=lambda: popped.append(connect().blpop("queue", timeout=10)))
    thread.start()
    time.sleep(0.05)
    r.rpush("queue", "job")
    thread.join()
    assert popped == [(b"queue", b"job")], popped
    assert r.blpop("queue", timeout=0.1) is None
    r.delete("stream")
    r.xadd("stream", {"field": "value"})
    r.xgroup_create("stream", "group", id="0")
    entries = r.xreadgroup("group", "consumer", {"stream": ">"}, block=1000)
    assert len(entries) == 1, entries


def scripts_and_locks(r):
    script = r.register_script("return redis.call('incrby', KEYS[1], ARGV[1])")
    r.delete("scripted")
    assert script(keys=["scripted"], args=[7]) == 7
    assert script(keys=["scripted"], args=[1]) == 8
    with r.lock("lock", timeout=10, blocking_timeout=5):
        assert not r.lock("lock", timeout=10).acquire(blocking=False)


def scans(r):
    for i in range(300):
        r.set(f"scan:{i}", i)
    assert len(set(r.scan_iter("scan:*", count=50))) == 300


def connections():
    r = connect(db=3, health_check_interval=1, client_name="everyday")
    r.set("elsewhere", "db3")
    assert r.client_getname() in ("everyday", b"everyday")
    wait_for(lambda: r.get("elsewhere") == b"db3")
    assert connect().get("elsewhere") is None
    r.delete("elsewhere")
    assert r.ping() is True


for options in ({}, {"decode_responses": True}, {"protocol": 3}, {"protocol": 3, "decode_responses": True}):
    client = connect(**options)
    strings_and_structures(client)
    pipelines_and_transactions(client)
    pub_sub(client)
    scripts_and_locks(client)
    scans(client)
blocking(connect())
connections()
print("everything as from a single Redis")
