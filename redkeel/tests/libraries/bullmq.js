// BullMQ moving jobs: bullmq.js HOST PORT [PREFIX]. Says "half" when half of them are done, so that the caller can do something
// to the servers; exits with 0 when each job was done, with its result. PREFIX is what its keys begin with.
"use strict";

const assert = require("node:assert/strict");
const { Queue, QueueEvents, Worker } = require("bullmq");

const [host, port, prefix = "bull"] = process.argv.slice(2);
const connection = { host, port: Number(port) };
const JOBS = 400;

async function main() {
  const done = new Map();
  const queue = new Queue("work", { connection, prefix });
  const events = new QueueEvents("work", { connection, prefix });
  await events.waitUntilReady();
  const worker = new Worker(
    "work",
    async (job) => {
      if (job.data.number === JOBS / 2) console.log("half");
      // The work itself: short, but not nothing.
      await new Promise((resolve) => setTimeout(resolve, 5));
      done.set(job.data.number, (done.get(job.data.number) ?? 0) + 1);
      return job.data.number * 2;
    },
    { connection, prefix, concurrency: 4 },
  );
  // Each job that is waited for listens to both.
  for (const part of [queue, events]) part.setMaxListeners(0);
  const failures = [];
  for (const part of [queue, events, worker]) part.on("error", (error) => failures.push(error));
  worker.on("failed", (_, error) => failures.push(error));

  const jobs = await queue.addBulk(
    Array.from({ length: JOBS }, (_, number) => ({ name: "double", data: { number } })),
  );
  await queue.add("double", { number: JOBS }, { delay: 200 });
  const results = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 60_000)));
  assert.deepEqual(results, Array.from({ length: JOBS }, (_, number) => number * 2));
  const deadline = Date.now() + 20_000;
  while (!done.has(JOBS)) {
    assert.ok(Date.now() < deadline, "the delayed job was not done");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.deepEqual([...done.values()].filter((times) => times !== 1), [], "each job is done once");
  assert.deepEqual(failures, []);
  await worker.close();
  await events.close();
  await queue.close();
  console.log("everything as from a single Redis");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
