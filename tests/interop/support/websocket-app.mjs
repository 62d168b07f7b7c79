// The app of the WebSocket tests, in a thread of its own: answers upgrades at once, speaks first, echoes. What it saw
// is kept for whoever asks.

import { createServer } from "node:http";
import { parentPort } from "node:worker_threads";
import { WebSocketServer } from "ws";

const seen = { upgrades: 0, users: {}, closed: {}, pongs: 0 };

const server = createServer({ keepAliveTimeout: 600_000 }, (request, response) => response.end(request.url));
const sockets = new WebSocketServer({ server, perMessageDeflate: { threshold: 1024 }, maxPayload: 64 << 20 });

const count = (table, key) => (table[key] = (table[key] ?? 0) + 1);

sockets.on("connection", (socket, request) => {
  const { pathname, searchParams } = new URL(request.url, "http://app");
  seen.upgrades += 1;
  count(seen.users, request.headers["x-auth-user"] ?? "nobody");
  socket.on("error", () => {});
  socket.on("close", (code, reason) => count(seen.closed, reason.length ? `${code} ${reason}` : code));
  socket.on("pong", () => (seen.pongs += 1));
  if (pathname === "/echo") {
    // Before anybody else has said anything.
    socket.send(`welcome ${searchParams.get("number")}`);
    socket.on("message", (data, binary) => socket.send(data, { binary }));
  }
  if (pathname === "/ping") socket.ping("from the app");
  if (pathname === "/close") socket.close(Number(searchParams.get("code")), searchParams.get("reason"));
  if (pathname === "/vanish") socket.terminate();
  if (pathname === "/pieces") {
    ["one ", "two ", "three"].forEach((piece, index) => socket.send(piece, { fin: index === 2 }));
  }
});

server.listen(0, "127.0.0.1", () => parentPort.postMessage(`http://127.0.0.1:${server.address().port}`));

parentPort.on("message", (question) => {
  if (question === "seen") parentPort.postMessage(structuredClone(seen));
});
