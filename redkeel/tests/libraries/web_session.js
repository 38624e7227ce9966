// A web server that keeps its sessions in Redis: web_session.js HOST PORT. Says "half" when half of the visits were made;
// exits with 0 when no visitor lost a session.
"use strict";

const assert = require("node:assert/strict");
const http = require("node:http");
const { createClient } = require("redis");
const { RedisStore } = require("connect-redis");
const session = require("express-session");

const [host, port] = process.argv.slice(2);
const VISITORS = 20;
const VISITS = 30;

async function main() {
  const client = createClient({ socket: { host, port: Number(port) } });
  client.on("error", (error) => {
    throw error;
  });
  await client.connect();
  const sessions = session({
    store: new RedisStore({ client, prefix: "session:" }),
    secret: "not one",
    resave: false,
    saveUninitialized: false,
  });
  const server = http.createServer((request, response) => {
    sessions(request, response, (error) => {
      if (error) {
        response.statusCode = 500;
        return response.end(String(error));
      }
      request.session.visits = (request.session.visits ?? 0) + 1;
      response.end(String(request.session.visits));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}/`;

  const cookies = new Array(VISITORS).fill("");
  for (let visit = 1; visit <= VISITS; visit += 1) {
    if (visit === VISITS / 2) console.log("half");
    await Promise.all(
      cookies.map(async (cookie, visitor) => {
        const response = await fetch(url, { headers: { cookie } });
        const text = await response.text();
        assert.equal(text, String(visit), `visitor ${visitor}`);
        cookies[visitor] = response.headers.get("set-cookie")?.split(";")[0] ?? cookie;
      }),
    );
  }
  assert.equal(new Set(cookies).size, VISITORS);
  assert.ok((await client.ttl(await firstKey(client))) > 0, "sessions end by themselves");
  server.closeAllConnections();
  server.close();
  await client.close();
  console.log("everything as from a single Redis");
}

async function firstKey(client) {
  for await (const keys of client.scanIterator({ MATCH: "session:*" })) {
    if ([keys].flat().length > 0) return [keys].flat()[0];
  }
  throw new Error("no session is kept");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
