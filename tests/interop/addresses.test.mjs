// A rule protects the page, not one of its addresses: real apps, built and started, with all the addresses under which
// they serve their guarded pages. Whatever serves one without the gateway needs the session through it, and gets the
// page's token.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { cpSync, readdirSync } from "node:fs";
import { request } from "node:http";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, describe, test } from "node:test";
import { table } from "./addresses/table.mjs";
import { Gateway } from "./harness.mjs";
import { Child } from "./support/child.mjs";
import { freePort } from "./support/ports.mjs";

const SESSION_SECRET = "interop-addresses-session-0123456789abcdef";
const PAGE_KEY = "interop-addresses-page-key-0123456789abcdef";
const GUARDED = /the guarded page/;
const WITH_TOKEN = /the guarded page, token=\[eyJ[^\]]+\]/;
const here = fileURLToPath(new URL("addresses", import.meta.url));

// One app alone: APP=rails node --test addresses.test.mjs
for (const row of table.filter(({ folder }) => folder.startsWith(process.env.APP ?? ""))) {
  describe(row.title, () => scenario(row));
}

function scenario(row) {
  const promise = (sentence, work) => test(sentence, { timeout: 240_000 }, work);
  let app, gateway, serving;

  before(async () => {
    app = await App.start(row);
    gateway = await Gateway.start(settings(row, app.url), { SESSION_SECRET, PAGE_KEY });
    const plain = (list = []) => list.map((path) => [path, {}]);
    const pages = [...plain(row.serve), ...(row.asked ?? [])].map(([path, headers]) => ({ path, headers, shows: WITH_TOKEN }));
    const bare = plain(row.bare).map(([path, headers]) => ({ path, headers, shows: GUARDED }));
    serving = [...pages, ...bare].map((one) => ({ ...one, path: app.named(one.path) }));
  }, { timeout: 300_000 });
  after(() => [gateway, app].forEach((child) => child?.kill()));

  promise("each address serves a guarded page without the gateway", async () => {
    for (const one of serving) {
      let answer = await ask(app.url, one.path, { "x-page-token": "eyJ.direct", ...one.headers });
      if (answer.status === 307 && one.headers.RSC) {
        // Next.js 16 wants to see in the address what is in the header fields.
        one.path = answer.headers.location;
        answer = await ask(app.url, one.path, { "x-page-token": "eyJ.direct", ...one.headers });
      }
      assert.equal(answer.status, 200, one.path);
      assert.match(answer.body, one.shows, one.path);
    }
  });

  promise("through it, none does without a session", async () => {
    for (const { path, headers } of [...serving, ...row.refer.map((path) => ({ path: app.named(path) }))]) {
      const answer = await ask(gateway.url, path, headers);
      assert.equal(answer.status, 401, path);
      assert.doesNotMatch(answer.body, GUARDED, path);
    }
  });

  promise("with one, all do, and the token comes with client-side navigation", async () => {
    for (const { path, headers, shows } of serving) {
      const answer = await ask(gateway.url, path, { cookie: session("ada"), ...headers });
      assert.equal(answer.status, 200, path);
      assert.match(answer.body, shows, path);
    }
  });

  promise("what the app answers otherwise comes as it is", async () => {
    for (const path of row.refer.map((path) => app.named(path))) {
      const direct = await ask(app.url, path);
      const answer = await ask(gateway.url, path, { cookie: session("ada") });
      assert.equal(answer.status, direct.status, path);
    }
  });

  promise("open pages and their data need no session", async () => {
    for (const path of row.open.map((path) => app.named(path))) {
      const direct = await ask(app.url, path);
      const answer = await ask(gateway.url, path);
      assert.equal(answer.status, direct.status, path);
    }
  });

  promise("prefetches pass and mint nothing", async () => {
    const mints = () => gateway.metric(`portcullis_mints_total{token="page"}`);
    const minted = await mints();
    for (const [path, headers] of row.prefetch.map(([path, headers]) => [app.named(path), headers])) {
      const { status, body } = await followed(app.url, path, headers);
      const answer = await followed(gateway.url, path, { cookie: session("bob"), ...headers });
      assert.equal(answer.status, status, path);
      assert.equal(GUARDED.test(answer.body), GUARDED.test(body), `${path}: the app sees that it is a prefetch`);
      assert.doesNotMatch(answer.body, WITH_TOKEN, path);
    }
    assert.equal(await mints(), minted, "nothing was minted");
    await ask(gateway.url, serving[0].path, { cookie: session("bob") });
    assert.equal(await mints(), minted + 1, "the page itself would have");
  });

  promise("the gateway printed no secret", () => gateway.stop());
}

function settings({ rules, upstream = "" }, url) {
  const route = (path) =>
    `[[route]]\npath = "${path}"\nsession = "required"\nset_headers = { X-Page-Token = "{token.page}" }\n`;
  return `
[upstream]
servers = ["${url}"]
${upstream}
[session]
kind = "jwt"
cookie = "sid"
algorithms = ["HS256"]
secret = "env:SESSION_SECRET"

[preset.page]
kind = "jwt"
alg = "HS256"
secret = "secret"
claims = { sub = "{session.user_id}", iat = "{now}", exp = "{exp}" }
ttl = "10m"
cache = "user"
response = { token = "{token}" }

[token.page]
preset = "page"
key = "env:PAGE_KEY"

${rules.map(route).join("\n")}`;
}

/** The cookie of somebody who is signed in. */
function session(user) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: user, iat: now, exp: now + 3600 })}`;
  return `sid=${text}.${createHmac("sha256", SESSION_SECRET).update(text).digest("base64url")}`;
}

/** Asks for a path byte for byte; `fetch` would tidy it. */
async function ask(url, path, headers = {}) {
  const { hostname, port } = new URL(url);
  const asking = request({ hostname, port, path, headers, agent: false });
  asking.end();
  const [response] = await once(asking, "response");
  const chunks = await response.toArray();
  const body = Buffer.concat(chunks).toString().replaceAll("&quot;", '"').replaceAll("<!-- -->", "");
  return { status: response.statusCode, headers: response.headers, body };
}

async function followed(url, path, headers) {
  const answer = await ask(url, path, headers);
  return answer.status === 307 ? ask(url, answer.headers.location, headers) : answer;
}

class App {
  #child;
  #row;

  static async start(row) {
    const app = new App();
    app.#row = row;
    const cwd = join(here, row.folder);
    const env = { HOME: tmpdir(), TMPDIR: tmpdir(), ...row.env };
    if (row.copy) {
      for (const name of readdirSync(join(here, row.copy))) {
        cpSync(join(here, row.copy, name), join(cwd, name), { recursive: true });
      }
    }
    if (row.build) {
      const [program, ...args] = row.build;
      const build = new Child(program, args, { cwd, env });
      assert.deepEqual(await build.ended(240_000), { code: 0, signal: null }, `${build.name}\n${build.output}`);
    }
    const port = await freePort();
    app.url = `http://127.0.0.1:${port}`;
    const [program, ...args] = row.start(port);
    app.#child = new Child(program, args, { cwd, env: { ...env, PORT: port } });
    await app.#answers();
    return app;
  }

  /** A path of the table with the id of this build. */
  named(path) {
    return path.replace("{build}", this.#row.buildId?.() ?? "build");
  }

  kill() {
    this.#child?.kill();
  }

  async #answers() {
    for (const end = Date.now() + 60_000; Date.now() < end; ) {
      try {
        return await ask(this.url, "/");
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    throw new Error(`${this.#child.name} does not answer\n${this.#child.output}`);
  }
}
