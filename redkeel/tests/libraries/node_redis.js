// node-redis' everyday use: node_redis.js HOST PORT. Exits with 0 when every reply was as from a single Redis.
"use strict";

const assert = require("node:assert/strict");
const { createClient, WatchError } = require("redis");

const [host, port] = process.argv.slice(2);

async function connect(options = {}) {
  const client = createClient({ socket: { host, port: Number(port) }, ...options });
  client.on("error", (error) => {
    throw error;
  });
  await client.connect();
  return client;
}

async function waitFor(condition) {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, "waited too long");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function everyday(RESP) {
  const client = await connect({ RESP });
  await client.del(["text", "hash", "list", "scores", "queue"]);
  assert.equal(await client.set("text", "value"), "OK");
  await waitFor(async () => (await client.get("text")) === "value");
  assert.equal(await client.hSet("hash", { a: "1", b: "2" }), 2);
  await waitFor(async () => (await client.hGetAll("hash")).b === "2");
  assert.equal(await client.zAdd("scores", [{ score: 1, value: "one" }, { score: 2.5, value: "two" }]), 2);
  // The next read may go to a replica that is not so far yet.
  let scores = [];
  await waitFor(async () => (scores = await client.zRangeWithScores("scores", 0, -1)).length === 2);
  assert.deepEqual(scores[1], { value: "two", score: 2.5 });

  // What one client sends in one turn is a pipeline, and keeps its order.
  const replies = await Promise.all(
    Array.from({ length: 300 }, (_, i) => [client.set(`pipe:${i}`, i), client.get(`pipe:${i}`)]).flat(),
  );
  assert.deepEqual(replies.filter((_, i) => i % 2).map(Number), Array.from({ length: 300 }, (_, i) => i));

  assert.deepEqual(await client.multi().set("counter", 1).incr("counter").exec(), ["OK", 2]);
  const other = await connect({ RESP, database: 0, name: "everyday" });
  assert.equal(await other.clientGetName(), "everyday");
  await client.watch("counter");
  await other.set("counter", 10);
  await assert.rejects(client.multi().incr("counter").exec(), WatchError);

  const subscriber = await connect({ RESP });
  const messages = [];
  await subscriber.subscribe("channel", (text, channel) => messages.push([channel, text]));
  await subscriber.pSubscribe("pattern:*", (text, channel) => messages.push([channel, text]));
  assert.equal(await client.publish("channel", "hello"), 1);
  assert.equal(await client.publish("pattern:1", "world"), 1);
  await waitFor(() => messages.length === 2);
  assert.deepEqual(messages, [["channel", "hello"], ["pattern:1", "world"]]);

  const popped = other.blPop("queue", 10);
  await client.rPush("queue", "job");
  assert.deepEqual({ ...(await popped) }, { key: "queue", element: "job" });

  await client.del("scripted");
  const script = { keys: ["scripted"], arguments: ["7"] };
  assert.equal(await client.eval("return redis.call('incrby', KEYS[1], ARGV[1])", script), 7);

  const found = new Set();
  for await (const keys of client.scanIterator({ MATCH: "pipe:*", COUNT: 50 })) {
    [keys].flat().forEach((key) => found.add(key));
  }
  assert.equal(found.size, 300);
  await assert.rejects(client.sendCommand(["NOSUCH"]), /unknown command/);
  for (const each of [client, other, subscriber]) await each.close();
}

everyday(2)
  .then(() => everyday(3))
  .then(() => console.log("everything as from a single Redis"))
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
