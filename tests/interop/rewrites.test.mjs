// Tokens only, behind the rewrites of the app's own host: Next.js 16 with the block of the guide, and in Chromium the code
// that a team's browsers run today, unchanged.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { blocks } from "./fronts/table.mjs";
import { Gateway } from "./harness.mjs";
import { openBrowser } from "./support/browser.mjs";
import { Child } from "./support/child.mjs";
import { freePort } from "./support/ports.mjs";
import { exchange } from "./support/raw.mjs";

const addresses = fileURLToPath(new URL("addresses", import.meta.url));
const node = join(addresses, `runtime/node_modules/node-linux-${process.arch}/bin/node`);
const modules = join(addresses, "next-16/node_modules");
const SECRETS = {
  SESSION_SECRET: "interop-rewrites-session-0123456789abcdef",
  PORTIVE_API_KEY: "PRTV_interopRewrites_0123456789abcdef",
};

/** What the seed's page does: GET for one upload, POST for the next. */
const PAGE = `
import { useState } from "react";
export const getServerSideProps = async () => ({ props: {} });
export default function Page() {
  const [said, setSaid] = useState("");
  const fetchToken = async (method) => {
    const response = await fetch("/api/get-auth-token", { method });
    const { authToken } = await response.json();
    setSaid(method + " " + response.status + " " + (authToken ?? "none"));
  };
  return (
    <main>
      <button onClick={() => fetchToken("GET")}>get</button>
      <button onClick={() => fetchToken("POST")}>post</button>
      <p role="status">{said}</p>
    </main>
  );
}
`;
/** The app's old route, which the team has not deleted yet. */
const OLD_ROUTE = `export default (request, response) => response.json({ authToken: "made-by-the-app" });`;

let folder, gateway, app, port, url, browser, context, page;

before(async () => {
  port = await freePort();
  url = `http://localhost:${port}`;
  gateway = await Gateway.start(
    `public_origin = "${url}"
[session]
kind = "jwt"
cookie = "sid"
algorithms = ["HS256"]
secret = "env:SESSION_SECRET"
[token.portive]
path = "/api/get-auth-token"
preset = "portive"
key = "env:PORTIVE_API_KEY"
ttl = "1m"
limit = "4/hour"
`,
    SECRETS,
  );
  folder = mkdtempSync(join(tmpdir(), "portcullis-rewrites-"));
  mkdirSync(join(folder, "pages/api"), { recursive: true });
  writeFileSync(join(folder, "pages/index.js"), PAGE);
  writeFileSync(join(folder, "pages/api/get-auth-token.js"), OLD_ROUTE);
  const [rewrites] = blocks("rewrites", "js");
  const block = rewrites.replace("http://127.0.0.1:8080", gateway.url);
  assert.notEqual(block, rewrites, "the guide names the gateway");
  writeFileSync(join(folder, "next.config.js"), `module.exports = {\n${block}};\n`);
  writeFileSync(join(folder, "package.json"), `{ "private": true }`);
  // A build of the other tests may be writing to the cache.
  const filter = (path) => !path.includes("/.cache");
  cpSync(modules, join(folder, "node_modules"), { recursive: true, filter });
  const env = { HOME: folder, TMPDIR: tmpdir(), NEXT_TELEMETRY_DISABLED: "1", CI: "1" };
  const next = "node_modules/next/dist/bin/next";
  const build = new Child(node, [next, "build"], { cwd: folder, env });
  assert.deepEqual(await build.ended(240_000), { code: 0, signal: null }, build.output);
  app = new Child(node, [next, "start", "--hostname", "localhost", "--port", String(port)], { cwd: folder, env });
  await app.heard("that it is ready", (line) => (/Ready/.test(line) ? true : null), 60_000);
  ({ browser, context, page } = await openBrowser({ baseURL: url }));
}, { timeout: 360_000 });

after(async () => {
  [app, gateway].forEach((child) => child?.kill());
  await browser?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
}, { timeout: 240_000 });

const promise = (sentence, work) => test(sentence, { timeout: 240_000 }, work);

/** The cookie of somebody who is signed in. */
function session(user) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: user, iat: now, exp: now + 3600 })}`;
  return `${text}.${createHmac("sha256", SECRETS.SESSION_SECRET).update(text).digest("base64url")}`;
}

async function press(method) {
  await page.getByRole("button", { name: method.toLowerCase() }).click();
  const status = page.getByRole("status").filter({ hasText: new RegExp(`^${method} \\d`) });
  const text = await status.textContent();
  await page.goto("/");
  return text.split(" ");
}

promise("a browser that nobody has signed in gets no token", async () => {
  await page.goto("/");
  assert.deepEqual(await press("GET"), ["GET", "401", "none"]);
  assert.deepEqual(await press("POST"), ["POST", "401", "none"]);
});

promise("one that somebody has gets tokens with GET and POST, from the gateway and not from the app's old route", async () => {
  await context.addCookies([{ name: "sid", value: session("ada"), url }]);
  await page.goto("/");
  for (const method of ["GET", "POST"]) {
    const [, status, token] = await press(method);
    assert.equal(status, "200");
    assert.match(token, /^eyJ/);
    gateway.keepSecret(token);
  }
});

promise("a page of another site gets none", async () => {
  const other = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<p>other"));
  }).listen(0, "127.0.0.1");
  await once(other, "listening");
  await page.goto(`http://127.0.0.1:${other.address().port}/`);
  const reached = await page.evaluate(async (target) => {
    const answer = await fetch(target, { method: "POST", credentials: "include" }).catch(() => null);
    return answer?.status ?? "unreadable";
  }, `${url}/api/get-auth-token`);
  assert.equal(reached, "unreadable");
  other.close();
  const lines = ["POST /api/get-auth-token HTTP/1.1", `Host: localhost:${port}`, "Content-Length: 0", "Connection: close"];
  lines.push(`Cookie: sid=${session("ada")}`, "Origin: https://evil.example");
  assert.equal((await exchange(port, `${lines.join("\r\n")}\r\n\r\n`)).status, 403);
});

promise("429 comes through with Retry-After, and another user's cookie gets that user's token", async () => {
  const ask = async (user) => {
    const lines = ["GET /api/get-auth-token HTTP/1.1", `Host: localhost:${port}`, "Connection: close", `Cookie: sid=${session(user)}`];
    return exchange(port, `${lines.join("\r\n")}\r\n\r\n`);
  };
  let answer;
  for (let times = 0; times < 3; times += 1) answer = await ask("ada");
  assert.equal(answer.status, 429);
  assert.match(answer.headers["retry-after"], /^\d+$/);
  assert.equal((await ask("bob")).status, 200);
});

promise("what is no token's path stays with the app", async () => {
  const lines = ["GET / HTTP/1.1", `Host: localhost:${port}`, "Connection: close"];
  assert.equal((await exchange(port, `${lines.join("\r\n")}\r\n\r\n`)).status, 200);
});

test("vercel.json is JSON, and names the same path as the other blocks", () => {
  const [vercel] = blocks("rewrites", "json");
  const [{ source, destination }] = JSON.parse(vercel).rewrites;
  assert.equal(new URL(destination).pathname, source);
  assert.ok(blocks("rewrites", "js")[0].includes(`source: "${source}"`));
  assert.ok(blocks("rewrites", "text")[0].startsWith(`${source}  https://`));
});

promise("the gateway printed no secret", () => gateway.stop());
