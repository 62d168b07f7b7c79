// WebSockets with a real library at both ends: ten thousand upgrades, none lost, and every kind of frame.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { after, before, test } from "node:test";
import { WebSocket } from "ws";
import { cookieOf } from "./support/session.mjs";
import { Certificate, gatewayFor, secured } from "./support/wire.mjs";

const UPGRADES = 10_000;
const AT_ONCE = 40;
/** Longer than a client may otherwise keep a request's body waiting. */
const IDLE = 62_000;

let app, appUrl, plain, tls, certificate, cookie, idle, idleSince;

before(async () => {
  app = new Worker(new URL("./support/websocket-app.mjs", import.meta.url));
  [appUrl] = await once(app, "message");
  certificate = new Certificate();
  plain = await gatewayFor(appUrl, { upstream: 'read_timeout = "20s"' });
  tls = await gatewayFor(appUrl, { server: certificate.settings });
  cookie = await cookieOf("ada");
  idle = [await opened(plain, "/echo?number=0"), await opened(tls, "/echo?number=0")];
  idleSince = performance.now();
}, { timeout: 240_000 });

after(async () => {
  [plain, tls].forEach((gateway) => gateway?.kill());
  await app?.terminate();
  certificate?.remove();
});

const promise = (sentence, work) => test(sentence, { timeout: 180_000 }, work);

function connect(gateway, path) {
  const url = gateway === tls ? secured(tls) : gateway.url;
  return new WebSocket(url.replace("http", "ws") + path, { headers: { cookie }, rejectUnauthorized: false });
}

/** An open socket; what it is told from the start is in `told`. */
async function opened(gateway, path) {
  const socket = connect(gateway, path);
  socket.told = [];
  socket.on("message", (data, binary) => {
    socket.told.push(binary ? data : data.toString());
    socket.emit("told");
  });
  await once(socket, "open");
  return socket;
}

/** What the socket is told as the `number`th thing, counted from 0. */
async function told(socket, number) {
  while (socket.told.length <= number) await once(socket, "told");
  return socket.told[number];
}

async function seen() {
  app.postMessage("seen");
  return (await once(app, "message"))[0];
}

async function eventuallySeen(find) {
  for (;;) {
    const found = find(await seen());
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

promise(`${UPGRADES} upgrades: each is made, told something at once, answered and closed`, async () => {
  const before = await seen();
  let next = 0;
  const work = async () => {
    for (let number = next++; number < UPGRADES; number = next++) {
      const socket = await opened(plain, `/echo?number=${number}`);
      socket.send(`message ${number}`);
      assert.deepEqual([await told(socket, 0), await told(socket, 1)], [`welcome ${number}`, `message ${number}`]);
      socket.close(1000);
      assert.equal((await once(socket, "close"))[0], 1000, `socket ${number} was cut off`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const after = await eventuallySeen((seen) => (seen.closed[1000] ?? 0) >= UPGRADES && seen);
  assert.equal(after.upgrades - before.upgrades, UPGRADES);
  assert.deepEqual(after.closed, { 1000: UPGRADES }, "the app saw each of them closed well");
  assert.deepEqual(after.users, { ada: after.upgrades });
});

for (const [over, gateway] of [["plain HTTP", () => plain], ["TLS", () => tls]]) {
  promise(`text and bytes of every size come back as they were, over ${over}`, async () => {
    const socket = await opened(gateway(), "/echo?number=1");
    assert.match(socket.extensions, /permessage-deflate/, "extensions are between the two ends");
    const sizes = [0, 1, 125, 126, 127, 1_459, 1_460, 1_461, 65_535, 65_536, 1 << 20, 8 << 20];
    for (const [index, size] of sizes.entries()) {
      const bytes = randomBytes(size);
      socket.send(bytes);
      assert.ok(bytes.equals(await told(socket, 2 * index + 1)), `${size} bytes`);
      const text = "é".repeat(size / 2);
      socket.send(text);
      assert.equal(await told(socket, 2 * index + 2), text, `${size} bytes of text`);
    }
    socket.close();
    await once(socket, "close");
  });

  promise(`messages in pieces, and many at once in both directions, over ${over}`, async () => {
    const socket = await opened(gateway(), "/echo?number=2");
    ["one ", "two ", "three"].forEach((piece, index) => socket.send(piece, { fin: index === 2 }));
    assert.equal(await told(socket, 1), "one two three");
    const messages = Array.from({ length: 2_000 }, (_, number) => `${number} ${"x".repeat(number)}`);
    messages.forEach((message) => socket.send(message));
    await told(socket, messages.length + 1);
    assert.deepEqual(socket.told.slice(2), messages);
    const pieces = await opened(gateway(), "/pieces");
    assert.equal(await told(pieces, 0), "one two three");
    [socket, pieces].forEach((socket) => socket.close());
  });
}

promise("pings are answered by the other end, not by the gateway", async () => {
  const socket = connect(plain, "/ping");
  const [payload] = await once(socket, "ping");
  assert.equal(payload.toString(), "from the app");
  await eventuallySeen(({ pongs }) => pongs > 0);
  socket.ping("from the client");
  assert.equal((await once(socket, "pong"))[0].toString(), "from the client");
  socket.close();
});

promise("close codes and reasons reach the other end", async () => {
  for (const code of [1000, 1001, 1011, 3000, 4999]) {
    const socket = connect(plain, `/close?code=${code}&reason=reason-${code}`);
    const [received, reason] = await once(socket, "close");
    assert.deepEqual([received, reason.toString()], [code, `reason-${code}`]);
    const mine = await opened(plain, "/echo?number=3");
    mine.close(code, `mine-${code}`);
    assert.equal((await once(mine, "close"))[0], code);
    await eventuallySeen(({ closed }) => closed[`${code} mine-${code}`] === 1);
  }
});

promise("an end that vanishes is gone for the other end, too", async () => {
  const socket = connect(plain, "/vanish");
  assert.equal((await once(socket, "close"))[0], 1006);
  const before = (await seen()).closed[1006] ?? 0;
  const mine = await opened(plain, "/echo?number=4");
  mine.terminate();
  await eventuallySeen(({ closed }) => (closed[1006] ?? 0) > before);
});

promise("without a session a protected socket is refused, and the library says with what", async () => {
  const { upgrades } = await seen();
  const socket = new WebSocket(`${plain.url.replace("http", "ws")}/private/x`);
  const [, response] = await once(socket, "unexpected-response");
  assert.equal(response.statusCode, 401);
  assert.equal(response.headers["content-type"], "application/problem+json");
  assert.equal((await seen()).upgrades, upgrades);
});

promise("a socket nobody used for more than a minute still works", async () => {
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, idleSince + IDLE - performance.now())));
  for (const socket of idle) {
    socket.send("still there?");
    assert.equal(await told(socket, 1), "still there?");
    socket.close();
    assert.equal((await once(socket, "close"))[0], 1005);
  }
});

promise("the gateways stop when asked, and printed no secret", async () => {
  await plain.stop();
  await tls.stop();
});
