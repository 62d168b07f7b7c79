// An app that believes everything it is told: answers every request with what it saw, and opens every WebSocket.

import { createServer } from "node:http";
import { createHash } from "node:crypto";
import { once } from "node:events";

export class EchoApp {
  #server;
  /** Every request: method, target, header fields. */
  seen = [];

  static async start() {
    const app = new EchoApp();
    app.#server = createServer({ keepAliveTimeout: 600_000, maxHeaderSize: 65_536 }, (request, response) => {
      app.seen.push({ method: request.method, target: request.url, fields: { ...request.headersDistinct } });
      request.resume();
      response.writeHead(200, { "content-type": "application/json", "x-app": "1" });
      response.end(JSON.stringify(app.seen.at(-1)));
    });
    app.#server.on("upgrade", (request, socket) => {
      app.seen.push({ method: request.method, target: request.url, fields: { ...request.headersDistinct } });
      const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
      const accept = createHash("sha1").update(key).digest("base64");
      socket.on("error", () => {});
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\nwelcome`);
      socket.on("data", (data) => socket.write(data));
    });
    app.#server.listen(0, "127.0.0.1");
    await once(app.#server, "listening");
    app.address = `127.0.0.1:${app.#server.address().port}`;
    return app;
  }

  stop() {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
