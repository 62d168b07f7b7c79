// A stand-in for the APIs where vendors make tokens: it remembers what it was asked, and answers what it was told to.

import { once } from "node:events";
import { createServer } from "node:http";

/** An answer with a status, a media type and a body of its own. */
export class Reply {
  constructor(status, body, type = "application/json") {
    Object.assign(this, { status, body, type });
  }

  /** A bare token as text, everything else as JSON. */
  static of(answer, status) {
    return typeof answer === "string" ? new Reply(status, answer, "text/plain") : new Reply(status, JSON.stringify(answer));
  }
}

export class Issuer {
  /** What requests are answered with: a value, a `Reply`, or a function of what was asked. */
  answer = {};
  /** The status of an answer that is not a `Reply`. */
  #status = 200;
  #asked = [];
  #waiting = [];
  #server = createServer({ keepAliveTimeout: 600_000 }, (request, response) => this.#serve(request, response));

  static async open() {
    const issuer = new Issuer();
    issuer.#server.listen(0, "127.0.0.1");
    await once(issuer.#server, "listening");
    return issuer;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** Answers as a row's vendor does: `status` where its documentation names another than 200. */
  answerAs({ answers, status = 200 }) {
    [this.answer, this.#status] = [answers, status];
  }

  /** Waits for the next question, for libraries that ask behind their caller's back. */
  asked() {
    return this.#asked.length > 0 ? Promise.resolve() : new Promise((wake) => this.#waiting.push(wake));
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
      search: new URL(request.url, this.url).search,
      query: Object.fromEntries(searchParams),
      headers: request.headers,
      text,
      body: parsed(text, request.headers["content-type"]),
    };
    this.#asked.push(asked);
    this.#waiting.splice(0).forEach((wake) => wake());
    const answer = typeof this.answer === "function" ? this.answer(asked) : this.answer;
    const reply = answer instanceof Reply ? answer : Reply.of(answer, this.#status);
    response.writeHead(reply.status, { "Content-Type": reply.type });
    response.end(reply.body);
  }
}

/** JSON, or the fields of a form. */
function parsed(text, type = "") {
  if (text === "") return null;
  if (type.startsWith("application/x-www-form-urlencoded")) return Object.fromEntries(new URLSearchParams(text));
  return JSON.parse(text);
}
