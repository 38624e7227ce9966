// ioredis' everyday use: everyday.js HOST PORT. Exits with 0 when every reply was as from a single Redis.
"use strict";

const assert = require("node:assert");
const { Redis } = require("ioredis");

const [host, port] = process.argv.slice(2);
const connect = (options = {}) => new Redis({ host, port: Number(port), ...options });

async function waitFor(condition) {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    assert(Date.now() < deadline, "waited too long");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function main() {
  const redis = connect();
  await redis.del("s", "queue", "hash");
  assert.equal(await redis.set("s", "value"), "OK");
  await waitFor(async () => (await redis.get("s")) === "value");
  assert.equal(await redis.hset("hash", { a: 1, b: 2 }), 2);

  const pipeline = redis.pipeline();
  for (let i = 0; i < 500; i++) pipeline.set(`pipe:${i}`, i).get(`pipe:${i}`);
  const replies = await pipeline.exec();
  replies.forEach(([error, reply], i) => {
    assert.ifError(error);
    assert.equal(reply, i % 2 ? String((i - 1) / 2) : "OK");
  });

  const many = await Promise.all(Array.from({ length: 1000 }, (_, i) => redis.echo(`tag ${i}`)));
  many.forEach((reply, i) => assert.equal(reply, `tag ${i}`));

  const transaction = await redis.multi().del("counter").incr("counter").incr("counter").exec();
  assert.deepEqual(transaction.slice(1).map(([, reply]) => reply), [1, 2]);
  await redis.watch("counter");
  const other = connect();
  await other.set("counter", 9);
  assert.equal(await redis.multi().incr("counter").exec(), null);

  const subscriber = connect();
  const messages = [];
  subscriber.on("message", (channel, text) => messages.push([channel, text]));
  subscriber.on("pmessage", (pattern, channel, text) => messages.push([pattern, channel, text]));
  assert.equal(await subscriber.subscribe("channel"), 1);
  assert.equal(await subscriber.psubscribe("pattern:*"), 2);
  assert.equal(await redis.publish("channel", "hello"), 1);
  assert.equal(await redis.publish("pattern:1", "world"), 1);
  await waitFor(() => messages.length === 2);
  assert.deepEqual(messages, [["channel", "hello"], ["pattern:*", "pattern:1", "world"]]);

  const popped = other.blpop("queue", 10);
  await redis.rpush("queue", "job");
  assert.deepEqual(await popped, ["queue", "job"]);

  redis.defineCommand("addTo", { numberOfKeys: 1, lua: "return redis.call('incrby', KEYS[1], ARGV[1])" });
  await redis.del("scripted");
  assert.equal(await redis.addTo("scripted", 7), 7);
  assert.equal(await redis.addTo("scripted", 1), 8);

  const found = new Set();
  for await (const keys of redis.scanStream({ match: "pipe:*", count: 50 })) keys.forEach((key) => found.add(key));
  assert.equal(found.size, 500);

  const third = connect({ db: 3, connectionName: "everyday" });
  assert.equal(await third.client("GETNAME"), "everyday");
  await third.set("elsewhere", "db3");
  assert.equal(await redis.get("elsewhere"), null);
  await third.del("elsewhere");

  await assert.rejects(redis.call("NOSUCH"), /unknown command/);
  for (const client of [redis, other, subscriber, third]) await client.quit();
  console.log("everything as from a single Redis");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
