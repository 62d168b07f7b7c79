// One request, byte for byte, and the answer that comes.

import { connect } from "node:net";

/** The answer to `text`, with its status, header fields by name and body; status 0 if there is none. */
export function exchange(port, text, { until } = {}) {
  return new Promise((resolve) => {
    const chunks = [];
    const socket = connect(Number(port), "127.0.0.1", () => socket.write(text));
    const done = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(read(Buffer.concat(chunks).toString("latin1")));
    };
    const timer = setTimeout(done, 30_000);
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      if (until?.(Buffer.concat(chunks).toString("latin1"))) done();
    });
    socket.on("end", done);
    socket.on("error", done);
  });
}

function read(text) {
  const [head, ...rest] = text.split("\r\n\r\n");
  const [line, ...fields] = head.split("\r\n");
  const headers = {};
  for (const field of fields) {
    const at = field.indexOf(":");
    const name = field.slice(0, at).toLowerCase();
    // Those of one name together, as a list would be written.
    headers[name] = [headers[name] ?? [], field.slice(at + 1).trim()].flat().join(", ");
  }
  return { status: Number(line.split(" ")[1] ?? 0), headers, body: rest.join("\r\n\r\n") };
}
