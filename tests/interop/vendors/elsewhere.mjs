// The vendors' hosts, as a page in the browser sees them: what clients ask there is remembered, and answered as far as it takes to
// go on. No name is looked up and nothing leaves the machine.

import { WebSocketServer } from "ws";

/** Runs in the page first: sockets to other hosts go to `/elsewhere/HOST/…` of the page's own. */
function nextDoor() {
  const Own = globalThis.WebSocket;
  globalThis.WebSocket = class WebSocket extends Own {
    constructor(address, protocols) {
      const { host, pathname, search } = new URL(address, location.href);
      super(`ws://${location.host}/elsewhere/${host}${pathname}${search}`, protocols);
    }
  };
}

export class Elsewhere {
  /** What was asked: host, path, query, and headers or the protocols and first message of a socket. */
  asked = [];
  #requests;
  #greetings;
  #replies;
  #sockets;

  /** Answers by host, each a function of what was asked: to requests, to a socket that opens, and to its first message. */
  constructor({ requests, greetings, replies }) {
    [this.#requests, this.#greetings, this.#replies] = [requests, greetings, replies];
  }

  /** Takes over what `context` asks of other hosts than `own`. */
  async open(context, own, server) {
    await context.addInitScript(nextDoor);
    const isElsewhere = (url) => url.host !== new URL(own).host && url.protocol.startsWith("http");
    await context.route(isElsewhere, (route) => this.#request(route));
    this.#sockets = new WebSocketServer({ server });
    this.#sockets.on("connection", (socket, request) => this.#connection(socket, request));
  }

  /** The first thing that was asked of `place`, a host with or without the start of a path, once it was. */
  async of(place, within = 60_000) {
    const end = Date.now() + within;
    while (Date.now() < end) {
      const found = this.asked.find(({ host, path }) => (host + path).startsWith(place));
      if (found) return found;
      await new Promise((later) => setTimeout(later, 20));
    }
    throw new Error(`nothing was asked of ${place}, but of ${this.asked.map(({ host, path }) => host + path)}`);
  }

  close() {
    this.#sockets?.clients.forEach((socket) => socket.terminate());
  }

  async #request(route) {
    const request = route.request();
    const { host, pathname: path, searchParams } = new URL(request.url());
    const asked = {
      host,
      path,
      method: request.method(),
      query: Object.fromEntries(searchParams),
      headers: await request.allHeaders(),
      text: request.postData() ?? "",
    };
    const headers = { "access-control-allow-origin": "*", "access-control-allow-headers": "*", "access-control-allow-methods": "*" };
    if (asked.method === "OPTIONS") return route.fulfill({ status: 204, headers });
    this.asked.push(asked);
    const answer = this.#requests[host]?.(asked) ?? { status: 404, body: "not here" };
    const body = typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body);
    const contentType = answer.type ?? "application/json";
    await route.fulfill({ status: answer.status ?? 200, headers, contentType, body });
  }

  #connection(socket, { url, headers }) {
    const [, host, rest] = url.match(/^\/elsewhere\/([^/]*)(.*)$/) ?? [];
    if (!host) return socket.close();
    const { pathname: path, searchParams } = new URL(rest, "http://localhost");
    const protocols = (headers["sec-websocket-protocol"] ?? "").split(", ").filter(Boolean);
    const asked = { host, path, query: Object.fromEntries(searchParams), protocols };
    this.asked.push(asked);
    const greeting = this.#greetings[host]?.(asked);
    if (greeting) socket.send(JSON.stringify(greeting));
    socket.once("message", (bytes) => {
      asked.text = bytes.toString();
      const reply = this.#replies[host]?.(asked);
      if (reply) socket.send(JSON.stringify(reply));
    });
  }
}
