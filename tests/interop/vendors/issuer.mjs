// A stand-in for the APIs where vendors make tokens: it remembers what it was asked, and answers what it was told to.

import { once } from "node:events";
import { createServer } from "node:http";

export class Issuer {
  /** What requests are answered with: a value, or a function of what was asked. */
  answer = {};
  #asked = [];
  #server = createServer((request, response) => this.#serve(request, response));

  static async open() {
    const issuer = new Issuer();
    issuer.#server.listen(0, "127.0.0.1");
    await once(issuer.#server, "listening");
    return issuer;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** What was asked since this was last called. */
  taken() {
    return this.#asked.splice(0);
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #serve(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const { pathname, searchParams } = new URL(request.url, this.url);
    const asked = {
      method: request.method,
      path: pathname,
      query: Object.fromEntries(searchParams),
      headers: request.headers,
      body: text === "" ? null : JSON.parse(text),
    };
    this.#asked.push(asked);
    response.writeHead(200, { "Content-Type": "application/json" });
    response.end(JSON.stringify(typeof this.answer === "function" ? this.answer(asked) : this.answer));
  }
}
