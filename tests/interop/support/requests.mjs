// Many requests at the same moment, each on a connection of its own.

import { Agent, request } from "node:http";

/** Sends `count` equal GET requests at once; gives `{ status, headers, body }` of each. */
export function atOnce(count, url, headers) {
  const agent = new Agent({ maxSockets: Infinity });
  const one = () =>
    new Promise((resolve, reject) => {
      const sent = request(url, { agent, headers, timeout: 60_000 }, (response) => {
        const chunks = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString() });
        });
      });
      sent.on("timeout", () => sent.destroy(new Error("no answer within a minute")));
      sent.on("error", reject);
      sent.end();
    });
  return Promise.all(Array.from({ length: count }, one)).finally(() => agent.destroy());
}
