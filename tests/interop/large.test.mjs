// Two gigabytes up and two gigabytes down, by HTTP/1.1 and by HTTP/2: nothing is gathered up on the way.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { gatewayFor, listening, printed } from "./support/wire.mjs";

const LENGTH = 2 * 2 ** 30;
/** What the gateway may grow by, whatever passes through it. */
const ROOM = 50 * 2 ** 20;
const BLOCK = Buffer.alloc(2 ** 20, "x");

let app, gateway;

before(async () => {
  app = await listening(answer);
  gateway = await gatewayFor(app.url);
  // Whatever a first transfer allocates for good.
  for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
    await upload(version, 2 ** 26);
    await download(version, 2 ** 26);
  }
}, { timeout: 240_000 });

after(() => {
  gateway?.kill();
  app?.closeAllConnections();
  app?.close();
});

/** The app counts what it gets, and gives as much as it is asked for. */
async function answer(request, response) {
  if (request.method === "POST") {
    let length = 0;
    request.on("data", (chunk) => (length += chunk.length));
    return request.on("end", () => response.end(String(length)));
  }
  const length = Number(request.url.slice(1));
  response.setHeader("Content-Length", length);
  for (let left = length; left > 0; left -= BLOCK.length) {
    if (!response.write(left < BLOCK.length ? BLOCK.subarray(0, left) : BLOCK)) {
      await new Promise((resolve) => response.once("drain", resolve));
    }
  }
  response.end();
}

/** From a pipe, so that nobody knows the length beforehand; how many bytes the app has counted. */
async function upload(version, length) {
  const command = `head -c ${length} /dev/zero | curl -sS --fail ${version} -X POST -T - ${gateway.url}/`;
  return Number((await printed("sh", "-c", command)).stdout);
}

/** How many bytes arrived. */
async function download(version, length) {
  const flags = ["-sS", "--fail", version, "-o", "/dev/null", "-w", "%{size_download}"];
  return Number((await printed("curl", ...flags, `${gateway.url}/${length}`)).stdout);
}

/** Octets the gateway has in memory. */
function resident() {
  const status = readFileSync(`/proc/${gateway.pid}/status`, "utf8");
  return Number(status.match(/^VmRSS:\s*(\d+) kB/m)[1]) * 1024;
}

/** What `work` comes to, and the most the gateway grew by meanwhile. */
async function watched(work) {
  const before = resident();
  let most = before;
  const timer = setInterval(() => (most = Math.max(most, resident())), 50);
  try {
    return [await work, Math.max(most, resident()) - before];
  } finally {
    clearInterval(timer);
  }
}

for (const [name, version] of [["HTTP/1.1", "--http1.1"], ["HTTP/2", "--http2-prior-knowledge"]]) {
  for (const [direction, transfer] of Object.entries({ upload, download })) {
    test(`an ${direction} of 2 GiB over ${name} takes no memory`.replace("an d", "a d"), { timeout: 250_000 }, async () => {
      const [arrived, growth] = await watched(transfer(version, LENGTH));
      assert.equal(arrived, LENGTH);
      assert.ok(growth < ROOM, `grew by ${(growth / 2 ** 20).toFixed(1)} MiB`);
    });
  }
}

test("the gateway stops when asked", { timeout: 240_000 }, () => gateway.stop());
