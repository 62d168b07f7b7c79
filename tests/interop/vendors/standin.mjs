// The app behind the gateway: one page with the vendors' clients, and as much of the vendors' servers as it takes to
// tell whether they would let a client in.

import { build } from "esbuild";
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import jsonwebtoken from "jsonwebtoken";
import { WebSocketServer } from "ws";
import { secrets } from "./gallery.mjs";

const require = createRequire(import.meta.url);
const Ably = require("ably");
const Pusher = require("pusher");

const SOCKET = "1234.5678";
const PAGE = "<!doctype html><meta charset=utf-8><title>clients</title><script src=/clients.js></script>";

/** What Liveblocks signs its tokens with. */
const LIVEBLOCKS = "a key only Liveblocks knows, and its stand-in here";

/** A token of Liveblocks for what the gateway asked: of access, or of identity. */
export function liveblocksToken({ path, body }) {
  const { userId: uid, permissions: perms, groupIds: gids } = body;
  const kind = path.endsWith("/identify-user") ? { k: "id", gids } : { k: "acc", perms };
  const claims = { ...kind, uid, pid: "project", mcpr: 10, jti: String(Math.random()) };
  return { token: jsonwebtoken.sign(claims, LIVEBLOCKS, { expiresIn: 3600 }) };
}

export class StandIn {
  /** What Ably's clients published, and with which token. */
  published = [];
  /** The bodies of the events that Pusher's own library sent its servers. */
  triggered = [];
  #server = createServer({ keepAliveTimeout: 600_000 }, (request, response) => this.#serve(request, response));
  #sockets = new WebSocketServer({ server: this.#server });
  #script;

  static async open() {
    const standIn = new StandIn();
    standIn.#script = await bundle();
    standIn.#sockets.on("connection", (socket, request) => {
      const { pathname, searchParams } = new URL(request.url, "http://localhost");
      if (pathname === "/app/your-app-key") pusher(socket, standIn.url);
      else if (pathname === "/v8") liveblocks(socket, searchParams);
      else socket.close();
    });
    standIn.#server.listen(0, "127.0.0.1");
    await once(standIn.#server, "listening");
    return standIn;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  close() {
    this.#sockets.clients.forEach((socket) => socket.terminate());
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** Hands an event on as it came: Pusher's servers cannot read what is encrypted. */
  #event(text) {
    this.triggered.push(text);
    const { name: event, channels, data } = JSON.parse(text);
    for (const channel of channels) {
      this.#sockets.clients.forEach((socket) => socket.send(JSON.stringify({ event, channel, data })));
    }
    return {};
  }

  async #serve(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const reply = (type, body, status = 200) => response.writeHead(status, { "Content-Type": type }).end(body);
    const json = (value, status) => reply("application/json", JSON.stringify(value), status);
    const { pathname } = new URL(request.url, this.url);
    if (pathname === "/") return reply("text/html", PAGE);
    if (pathname === "/clients.js") return reply("text/javascript", this.#script);
    const keyName = pathname.match(/^\/keys\/(.*)\/requestToken$/)?.[1];
    if (keyName) return json(...(await ablyToken(decodeURIComponent(keyName), JSON.parse(text))));
    if (/^\/channels\/.*\/messages$/.test(pathname)) {
      const token = Buffer.from(request.headers.authorization.slice("Bearer ".length), "base64").toString();
      this.published.push({ token, message: JSON.parse(text) });
      return json({ channel: "user:user_42" }, 201);
    }
    if (pathname === "/apps/1/events") return json(this.#event(text));
    return reply("text/plain", "not here", 404);
  }
}

/** The page's script. */
async function bundle() {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("browser.mjs", import.meta.url))],
    bundle: true,
    format: "iife",
    minify: true,
    loader: { ".css": "empty" },
    logLevel: "error",
    write: false,
  });
  return outputFiles[0].text;
}

/** Ably's answer to a request for a token: its own library must sign it the same. */
async function ablyToken(keyName, request) {
  const { mac, timestamp, nonce, ttl, capability, clientId } = request;
  const server = new Ably.Rest({ key: secrets.ABLY_API_KEY });
  const twin = await server.auth.createTokenRequest({ timestamp, nonce, ttl, capability, clientId });
  if (twin.mac !== mac || twin.keyName !== keyName || Math.abs(Date.now() - timestamp) > 120_000) {
    return [{ error: { code: 40101, statusCode: 401, message: "mac does not match" } }, 401];
  }
  const issued = Date.now();
  return [{ token: `${keyName}.issued`, keyName, issued, expires: issued + ttl, capability, clientId }, 201];
}

/** Pusher's side of a connection: its own library says which signatures are right, and encrypts an event for a channel that asks for it. */
function pusher(socket, url) {
  const { hostname: host, port } = new URL(url);
  const app = { appId: "1", key: "your-app-key", secret: secrets.PUSHER_SECRET, host, port, useTLS: false };
  const server = new Pusher({ ...app, encryptionMasterKeyBase64: secrets.PUSHER_MASTER_KEY });
  const send = (event, data, channel) => socket.send(JSON.stringify({ event, channel, data: JSON.stringify(data) }));
  const refuse = () => send("pusher:error", { code: 4009, message: "not authorized" });
  send("pusher:connection_established", { socket_id: SOCKET, activity_timeout: 120 });
  socket.on("message", (bytes) => {
    const { event, data } = JSON.parse(bytes);
    if (event === "pusher:signin") {
      const right = server.authenticateUser(SOCKET, JSON.parse(data.user_data));
      if (data.auth !== right.auth) return refuse();
      send("pusher:signin_success", { user_data: data.user_data });
    }
    if (event === "pusher:subscribe") {
      const member = data.channel_data && JSON.parse(data.channel_data);
      const right = server.authorizeChannel(SOCKET, data.channel, member);
      if (data.auth !== right.auth) return refuse();
      const presence = member && { ids: [member.user_id], hash: { [member.user_id]: member.user_info }, count: 1 };
      send("pusher_internal:subscription_succeeded", presence ? { presence } : {}, data.channel);
      if (data.channel.startsWith("private-encrypted-")) void server.trigger(data.channel, "plan", { text: "for acme alone" });
    }
  });
}

/** A room of Liveblocks: whoever holds one of its tokens with a permission for the room is let in. */
function liveblocks(socket, asked) {
  const NOT_ALLOWED = 4001;
  const room = asked.get("roomId");
  try {
    const claims = jsonwebtoken.verify(asked.get("tok"), LIVEBLOCKS);
    const patterns = claims.k === "id" ? ["*"] : Object.keys(claims.perms);
    if (!patterns.some((pattern) => room.startsWith(pattern.replace(/\*$/, "")))) return socket.close(NOT_ALLOWED);
    const ROOM_STATE = 104;
    socket.send(JSON.stringify({ type: ROOM_STATE, actor: 1, nonce: "n", scopes: ["room:write"], users: {}, meta: {} }));
  } catch {
    socket.close(NOT_ALLOWED);
  }
}
