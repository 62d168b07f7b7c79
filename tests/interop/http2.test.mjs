// HTTP/2 as others speak it: nghttp2's tools, curl and Chromium in front, an app that knows HTTP/1.1 only behind.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openBrowser } from "./support/browser.mjs";
import { verify } from "./support/portive.mjs";
import { cookieOf } from "./support/session.mjs";
import { Certificate, TOKEN, gatewayFor, listening, printed, secured } from "./support/wire.mjs";

const UPLOAD = randomBytes(3_000_000);
const STREAMS = 100;
const REQUESTS = 900;

/** The stream of events that is open. */
let listener;
let app, plain, tls, certificate, browser, page, context, folder, upload, cookie;
const asked = [];

before(async () => {
  app = await listening(answer);
  certificate = new Certificate();
  plain = await gatewayFor(app.url);
  tls = await gatewayFor(app.url, { server: certificate.settings });
  folder = mkdtempSync(join(tmpdir(), "portcullis-http2-"));
  upload = join(folder, "upload");
  writeFileSync(upload, UPLOAD);
  cookie = await cookieOf("ada");
  ({ browser, context, page } = await openBrowser({ baseURL: secured(tls), ignoreHTTPSErrors: true }));
}, { timeout: 240_000 });

after(async () => {
  await browser?.close();
  [plain, tls].forEach((gateway) => gateway?.kill());
  app?.closeAllConnections();
  app?.close();
  certificate?.remove();
  if (folder) rmSync(folder, { recursive: true, force: true });
}, { timeout: 240_000 });

/** The app: says what it got, streams events, or is a page. */
async function answer(request, response) {
  const hash = createHash("sha256");
  let length = 0;
  for await (const chunk of request) {
    hash.update(chunk);
    length += chunk.length;
  }
  const { method, url, headers, rawHeaders } = request;
  asked.push({ method, url, headers, length, names: rawHeaders.filter((_, index) => index % 2 === 0) });
  if (url === "/") return response.setHeader("Content-Type", "text/html").end("<!doctype html><title>app</title>");
  if (url === "/events") return events(response);
  if (url.startsWith("/next-event?")) listener.write(`data: ${url.split("?")[1]}\n\n`);
  if (url === "/hints") response.writeEarlyHints({ link: "</app.css>; rel=preload; as=style" });
  if (url === "/large") return response.end(UPLOAD);
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify({ method, url, headers, length, sha256: hash.digest("hex") }));
}

function events(response) {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  listener = response;
  response.write("data: 1\n\n");
}

const promise = (sentence, work) => test(sentence, { timeout: 240_000 }, work);

const sum = (bytes) => createHash("sha256").update(bytes).digest("hex");

function assertUploaded({ length, sha256 }) {
  assert.deepEqual({ length, sha256 }, { length: UPLOAD.length, sha256: sum(UPLOAD) });
}

promise("nghttp gets a token and a page over one connection, its cookie crumbs joined", async () => {
  asked.length = 0;
  const crumbs = ["a=1", cookie, "b=2"].flatMap((crumb) => ["-H", `cookie: ${crumb}`]);
  const { stdout } = await printed("nghttp", "-v", ...crumbs, plain.url + TOKEN, `${plain.url}/page?x=1`);
  assert.equal(stdout.match(/:status: 200/g)?.length, 2, stdout);
  assert.equal(stdout.match(/^\[.*\] Connected/gm)?.length, 1, stdout);
  assert.equal(verify(JSON.parse(stdout.match(/\{"authToken":"[^"]*"\}/)[0]).authToken).exp > 0, true);
  const [seen, ...more] = asked;
  assert.deepEqual([seen.method, seen.url, more.length], ["GET", "/page?x=1", 0]);
  assert.equal(seen.headers.cookie, `a=1; ${cookie}; b=2`);
  assert.equal(seen.names.filter((name) => /^cookie$/i.test(name)).length, 1);
  assert.equal(seen.headers["x-auth-user"], "ada");
});

for (const [how, ...flags] of [
  ["with a length"],
  ["without a length", "--no-content-length"],
  ["with padding", "--padding=100"],
  ["with a trailer", "--trailer=x-checksum: 1"],
  ["announced with 100-continue", "--expect-continue"],
]) {
  promise(`nghttp uploads ${how}, and the connection to the app is as good as before`, async () => {
    const { stdout } = await printed("nghttp", ...flags, "-d", upload, `${plain.url}/upload`);
    assertUploaded(JSON.parse(stdout));
    const next = JSON.parse((await printed("nghttp", `${plain.url}/next`)).stdout);
    assert.deepEqual([next.method, next.url, next.length], ["GET", "/next", 0]);
  });
}

for (const [scheme, gateway] of [["prior knowledge", () => plain.url], ["TLS", () => secured(tls)]]) {
  promise(`h2load keeps ${STREAMS} streams open on each connection, with ${scheme}`, async () => {
    const load = ["-n", String(REQUESTS), "-c", "3", "-m", String(STREAMS), "-H", `cookie: ${cookie}`];
    for (const path of [TOKEN, "/page"]) {
      const { stdout } = await printed("h2load", ...load, gateway() + path);
      assert.ok(stdout.includes(`${REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout`), stdout);
      assert.ok(stdout.includes(`status codes: ${REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx`), stdout);
      assert.match(stdout, /Application protocol: h2c?/, stdout);
    }
  });
}

promise("h2load uploads on many streams at once, and every byte arrives", async () => {
  const small = join(folder, "small");
  writeFileSync(small, UPLOAD.subarray(0, 50_000));
  const { stdout } = await printed("h2load", "-n", "300", "-c", "2", "-m", "50", "-d", small, `${plain.url}/small`);
  assert.match(stdout, /status codes: 300 2xx/, stdout);
  const uploads = asked.filter(({ url }) => url === "/small");
  assert.equal(uploads.length, 300);
  assert.ok(uploads.every(({ method, length }) => method === "POST" && length === 50_000));
});

/** curl's answer: version, status, body. */
async function curl(...args) {
  const { stdout } = await printed("curl", "-sS", "--max-time", "60", "-w", "\n%{http_version} %{http_code}", ...args);
  const [, body, version, status] = stdout.match(/^(.*)\n(\S+) (\d+)$/s);
  return { version, status: Number(status), body };
}

promise("curl speaks HTTP/2 with prior knowledge, over TLS by choice, and HTTP/1.1 where it only offers it", async () => {
  const trusted = ["--cacert", certificate.file];
  for (const [version, ...args] of [
    ["2", "--http2-prior-knowledge", plain.url],
    ["2", "--http2", ...trusted, secured(tls)],
    ["2", ...trusted, secured(tls)],
    ["1.1", "--http1.1", ...trusted, secured(tls)],
    ["1.1", "--http2", plain.url],
    ["1.1", plain.url],
  ]) {
    const url = args.pop();
    const token = await curl(...args, "-b", cookie, url + TOKEN);
    assert.deepEqual([token.version, token.status], [version, 200], args.join(" "));
    verify(JSON.parse(token.body).authToken);
    const refused = await curl(...args, `${url}/private/x`);
    assert.deepEqual([refused.version, refused.status], [version, 401]);
    assert.equal(JSON.parse(refused.body).code, "not_signed_in");
    const seen = JSON.parse((await curl(...args, "-b", cookie, `${url}/page`)).body);
    assert.equal(seen.headers["x-auth-user"], "ada");
    assert.equal(seen.headers["upgrade"], undefined, "h2c is not offered to the app");
    assert.equal(seen.headers["x-forwarded-proto"], new URL(url).protocol.slice(0, -1));
  }
});

promise("curl uploads a file and a stream, asks for parts and for heads, and downloads whole", async () => {
  const h2 = "--http2-prior-knowledge";
  assertUploaded(JSON.parse((await curl(h2, "-T", upload, `${plain.url}/upload`)).body));
  const piped = `curl -sS ${h2} -X POST -T - ${plain.url}/upload < ${upload}`;
  const streamed = JSON.parse((await printed("sh", "-c", piped)).stdout);
  assertUploaded(streamed);
  assert.equal(streamed.headers["content-length"], undefined);
  const part = JSON.parse((await curl(h2, "-r", "5-9", `${plain.url}/part`)).body);
  assert.equal(part.headers.range, "bytes=5-9");
  const head = await curl(h2, "-I", `${plain.url}/page`);
  assert.deepEqual([head.version, head.status], ["2", 200]);
  assert.match(head.body, /^content-type: application\/json/m);
  assert.equal(JSON.parse((await curl(h2, `${plain.url}/hints`)).body).url, "/hints");
  const copy = join(folder, "copy");
  assert.equal((await curl(h2, "-o", copy, `${plain.url}/large`)).status, 200);
  assert.equal((await printed("sha256sum", copy)).stdout.split(" ")[0], sum(UPLOAD));
});

promise("curl's parallel transfers each get their own answer", async () => {
  const urls = `${secured(tls)}/number/[1-200]`;
  const into = join(folder, "number-#1");
  // Over TLS, because curl 7.88 cannot do this with prior knowledge, whoever answers.
  await printed("curl", "-sS", "--fail", "-Z", "--parallel-max", "100", "--cacert", certificate.file, "-o", into, urls);
  const { stdout } = await printed("sh", "-c", `cd ${folder} && for n in $(seq 200); do cat number-$n; echo; done`);
  const numbers = stdout.trim().split("\n").map((line) => JSON.parse(line).url);
  assert.deepEqual(numbers, numbers.map((_, index) => `/number/${index + 1}`));
});

promise("Chromium negotiates h2 for a page, and scripts get tokens with the same crumbs the app gets", async () => {
  const [name, ...value] = cookie.split("=");
  const { hostname } = new URL(secured(tls));
  const cookies = { [name]: value.join("="), theme: "dark", lang: "en", seen: "1" };
  const jar = Object.entries(cookies).map(([name, value]) => ({ name, value, domain: hostname, path: "/" }));
  await context.addCookies(jar);
  await page.goto("/");
  assert.equal(await page.evaluate(() => performance.getEntriesByType("navigation")[0].nextHopProtocol), "h2");
  const { authToken } = await page.evaluate(async (path) => (await fetch(path)).json(), TOKEN);
  verify(authToken);
  const seen = await page.evaluate(async () => (await fetch("/page")).json());
  const crumbs = Object.fromEntries(seen.headers.cookie.split("; ").map((crumb) => crumb.split(/=(.*)/s)));
  assert.deepEqual(crumbs, cookies);
  assert.equal(seen.headers["x-auth-user"], "ada");
});

promise("Chromium uploads a blob and a stream of unknown length", async () => {
  const bytes = [...UPLOAD.subarray(0, 300_000)];
  const [blob, stream, next] = await page.evaluate(async (bytes) => {
    const body = new Uint8Array(bytes);
    const post = async (body, more) => (await fetch("/upload", { method: "POST", body, ...more })).json();
    const pieces = new ReadableStream({
      start(controller) {
        for (let at = 0; at < body.length; at += 10_000) controller.enqueue(body.slice(at, at + 10_000));
        controller.close();
      },
    });
    const stream = await post(pieces, { duplex: "half" });
    return [await post(new Blob([body])), stream, await (await fetch("/next")).json()];
  }, bytes);
  const expected = { length: 300_000, sha256: sum(UPLOAD.subarray(0, 300_000)) };
  for (const { length, sha256 } of [blob, stream]) assert.deepEqual({ length, sha256 }, expected);
  assert.equal(stream.headers["content-length"], undefined);
  assert.deepEqual([next.method, next.url], ["GET", "/next"]);
});

promise("Chromium's many requests at once share the connection, and each gets its own answer", async () => {
  const urls = await page.evaluate(() => {
    const one = async (number) => (await (await fetch(`/number/${number}`)).json()).url;
    return Promise.all(Array.from({ length: 300 }, (_, number) => one(number)));
  });
  assert.deepEqual(urls, urls.map((_, number) => `/number/${number}`));
});

promise("Chromium gets server-sent events one by one", async () => {
  const events = await page.evaluate(() => new Promise((resolve) => {
    const source = new EventSource("/events");
    const events = [];
    source.onmessage = ({ data }) => {
      events.push(data);
      // The app sends the next one when the page has this one.
      if (events.length < 3) return fetch(`/next-event?${events.length + 1}`);
      source.close();
      resolve(events);
    };
  }));
  assert.deepEqual(events, ["1", "2", "3"]);
});

promise("the gateways stop when asked, and printed no secret", async () => {
  await browser.close();
  await plain.stop();
  await tls.stop();
});
