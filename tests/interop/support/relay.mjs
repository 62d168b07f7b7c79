// A wire with an ear: passes bytes between a caller and a target, and keeps all of them.
//
// Its address is known before the target has one, so two programs that each need the
// other's address can be started one after the other.

import { createServer, connect } from "node:net";
import { once } from "node:events";

export class Relay {
  #server;
  #target;
  #sockets = new Set();
  #asked = [];
  #answered = [];

  static async open() {
    const relay = new Relay();
    relay.#server = createServer((caller) => relay.#join(caller));
    relay.#server.listen(0, "127.0.0.1");
    await once(relay.#server, "listening");
    return relay;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** Where callers are passed on to. Before this is called they are turned away. */
  leadTo(url) {
    this.#target = new URL(url);
  }

  /** Every byte callers sent, connection after connection. */
  get asked() {
    return joined(this.#asked);
  }

  /** Every byte the target answered. */
  get answered() {
    return joined(this.#answered);
  }

  close() {
    this.#server.close();
    this.#sockets.forEach((socket) => socket.destroy());
  }

  #join(caller) {
    if (!this.#target) return caller.destroy();
    const target = connect(Number(this.#target.port), this.#target.hostname);
    this.#pass(caller, target, this.#asked);
    this.#pass(target, caller, this.#answered);
  }

  // One list of chunks for each connection: a text cut by another connection's bytes would not be found.
  #pass(from, to, kept) {
    const chunks = [];
    kept.push(chunks);
    this.#sockets.add(from);
    from.on("data", (chunk) => chunks.push(chunk));
    from.on("error", () => to.destroy());
    from.on("close", () => this.#sockets.delete(from));
    from.pipe(to);
  }
}

function joined(connections) {
  return Buffer.concat(connections.flat()).toString("latin1");
}
