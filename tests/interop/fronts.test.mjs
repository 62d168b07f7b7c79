// Forward auth behind real proxies, each with the lines of its own guide: nginx, Caddy, Envoy, HAProxy. Traefik's questions
// are put to the gateway as its documentation describes them.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { blocks, table } from "./fronts/table.mjs";
import { cases, foreign, guarded } from "./fronts/cases.mjs";
import { Gateway } from "./harness.mjs";
import { Child } from "./support/child.mjs";
import { EchoApp } from "./support/echo-app.mjs";
import { freePort } from "./support/ports.mjs";
import { exchange } from "./support/raw.mjs";

const SECRETS = {
  SESSION_SECRET: "interop-fronts-session-0123456789abcdef",
  PORTIVE_API_KEY: "PRTV_interopFronts_0123456789abcdef",
};

export const SETTINGS = `
[auth]
listen = "127.0.0.1:0"

[session]
kind = "jwt"
cookie = "sid"
algorithms = ["HS256"]
secret = "env:SESSION_SECRET"
logout_paths = ["POST /logout"]

[identity]
headers = { "X-Auth-User" = "{session.user_id}" }

[token.portive]
path = "/api/get-auth-token"
preset = "portive"
key = "env:PORTIVE_API_KEY"
ttl = "1m"
limit = "30/minute"

[token.page]
preset = "portive"
key = "env:PORTIVE_API_KEY"
ttl = "10m"

[[route]]
path = "/account/**"
session = "required"
sign_in = "/login?next={path}"
set_headers = { "X-Page-Token" = "{token.page}" }

[[route]]
path = "/admin/**"
session = "required"

[[route]]
path = "/limited"
limit = "1/hour"

[[route]]
path = "/socket"
session = "required"
`;

/** The cookie of somebody who is signed in. */
function session(user) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: user, iat: now, exp: now + 3600 })}`;
  return `sid=${text}.${createHmac("sha256", SECRETS.SESSION_SECRET).update(text).digest("base64url")}`;
}

for (const front of table.filter(({ name }) => name.toLowerCase().startsWith(process.env.FRONT ?? ""))) {
  describe(front.name, () => scenario(front));
}

function scenario(front) {
  const promise = (sentence, work) => test(sentence, { timeout: 240_000 }, work);
  let app, gateway, proxy, port, folder;

  before(async () => {
    app = await EchoApp.start();
    gateway = await Gateway.start(SETTINGS, SECRETS);
    port = await freePort();
    folder = mkdtempSync(join(tmpdir(), "portcullis-front-"));
    const addresses = { app: app.address, gateway: new URL(gateway.url).host, auth: new URL(gateway.auth).host };
    for (const [name, text] of Object.entries(front.write(port, addresses))) writeFileSync(join(folder, name), text);
    const [program, args] = front.start(folder);
    assert.ok(existsSync(program), `${program} is missing: run tests/run --front-packages`);
    proxy = new Child(program, args, { cwd: folder, env: { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder } });
    await answers();
    app.seen.length = 0;
  }, { timeout: 240_000 });
  after(() => {
    [proxy, gateway].forEach((child) => child?.kill());
    app?.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  async function answers() {
    for (const end = Date.now() + 60_000; Date.now() < end; ) {
      if ((await ask("GET", "/public/ready.txt")).status === 200) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`${proxy.name} does not answer\n${proxy.output}`);
  }

  /** Through the proxy; `fields` are lines. */
  function ask(method, target, fields = [], host = "app.example.com") {
    const length = method === "POST" ? ["Content-Length: 0"] : [];
    const lines = [`${method} ${target} HTTP/1.1`, `Host: ${host}`, "Connection: close", ...length, ...fields];
    return exchange(port, `${lines.join("\r\n")}\r\n\r\n`);
  }

  const signedIn = (user) => `Cookie: ${session(user)}`;
  const told = (answer) => JSON.parse(answer.body.slice(answer.body.indexOf("{"), answer.body.lastIndexOf("}") + 1)).fields;

  promise("the guide has at most ten lines of its own", () => {
    const all = blocks(front.page ?? front.name.toLowerCase(), front.language);
    const lines = (front.own?.map((index) => all[index]) ?? all).join("").trim().split("\n");
    assert.ok(lines.length <= 10, `${lines.length} lines`);
  });

  promise("a token is handed out, to nobody else and to no other site", async () => {
    const answer = await ask("GET", "/api/get-auth-token", [signedIn("ada")]);
    assert.equal(answer.status, 200, answer.body);
    assert.match(answer.body, /authToken/);
    assert.equal((await ask("POST", "/api/get-auth-token", [signedIn("ada"), "Origin: http://app.example.com"])).status, 200);
    assert.equal((await ask("GET", "/api/get-auth-token")).status, 401);
    assert.equal((await ask("GET", "/api/get-auth-token", [signedIn("ada"), "Origin: https://evil.example"])).status, 403);
    assert.equal(app.seen.filter(({ target }) => target.startsWith("/api/")).length, 0);
  });

  promise("the app's page gets the user and its token, and an open page only what was verified", async () => {
    const fields = told(await ask("GET", "/account/orders?x=1", [signedIn("ada"), "X-Auth-User: evil", "X-Page-Token: evil"]));
    assert.deepEqual(fields["x-auth-user"], ["ada"]);
    assert.match(fields["x-page-token"]?.join() ?? "", /^eyJ[\w.-]+$/);
    const anonymous = told(await ask("GET", "/", ["X-Auth-User: evil", "X-Page-Token: evil"]));
    assert.deepEqual([anonymous["x-auth-user"] ?? [""], anonymous["x-page-token"] ?? [""]], [[""], [""]]);
    const open = told(await ask("GET", "/public/logo.svg", ["X-Auth-User: evil", "X-Page-Token: evil"]));
    assert.deepEqual([open["x-auth-user"] ?? [""], open["x-page-token"] ?? [""]], [[""], [""]]);
  });

  promise("refusals reach the browser: 401, the sign-in page, 429 with Retry-After", async () => {
    const refused = await ask("GET", "/account");
    assert.equal(refused.status, 401);
    assert.match(refused.body, /not_signed_in/);
    assert.match(refused.headers["www-authenticate"], /^[^,]*sid[^,]*$/, "once");
    const opened = await ask("GET", "/account?x=1", ["Sec-Fetch-Mode: navigate", "Accept: text/html"]);
    assert.equal(opened.status, 303);
    assert.equal(opened.headers.location, "/login?next=/account%3Fx%3D1");
    assert.equal((await ask("GET", "/limited", [signedIn("ada")])).status, 200);
    const limited = await ask("GET", "/limited", [signedIn("ada")]);
    assert.equal(limited.status, 429, limited.body);
    assert.match(limited.headers["retry-after"], /^\d+$/);
  });

  promise("the app gets no other session than the one that was judged", async () => {
    const fields = told(await ask("GET", "/account", [`Cookie: ${session("ada")}; ${session("bob")}; theme=dark`]));
    const [cookie] = fields.cookie;
    assert.match(cookie, /theme=dark/);
    assert.equal(cookie.split("sid=").length, 2, "one session");
  });

  if (front.cookies) {
    promise("all cookies that it lets through reach the app", async () => {
      const others = Array.from({ length: front.cookies }, (_, index) => `Cookie: c${index}=${"x".repeat(7_000)}`);
      const fields = told(await ask("GET", "/account", [signedIn("ada"), ...others]));
      for (const field of others) assert.ok(fields.cookie.join().includes(field.slice("Cookie: ".length)), field.slice(0, 20));
    });
  }

  promise("a WebSocket opens with a session and not without", async () => {
    const upgrade = ["Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="];
    const open = (fields) => {
      const lines = ["GET /socket HTTP/1.1", "Host: app.example.com", "Connection: Upgrade", ...upgrade, ...fields];
      return exchange(port, `${lines.join("\r\n")}\r\n\r\n`, { until: (text) => text.includes("welcome") || !text.startsWith("HTTP/1.1 101") });
    };
    assert.equal((await open([])).status, 401);
    const opened = await open([signedIn("ada")]);
    assert.equal(opened.status, 101);
    assert.deepEqual(app.seen.at(-1).fields["x-auth-user"], ["ada"]);
  });

  promise("of forty spoofed heads and paths, nothing passes", async () => {
    assert.ok(cases.length >= 40, `${cases.length} cases`);
    for (const { name, method = "GET", target = "/", fields = [], host } of cases) {
      const before = app.seen.length;
      await ask(method, target, fields, host);
      for (const seen of app.seen.slice(before)) {
        assert.ok(!guarded(seen.target), `${name}: the app was asked for ${seen.target}`);
        const managed = /^x[^a-z0-9]auth[^a-z0-9]user$|^x[^a-z0-9]page[^a-z0-9]token$/;
        for (const [field, values] of Object.entries(seen.fields).filter(([field]) => managed.test(field))) {
          assert.deepEqual(values.filter((value) => value !== ""), [], `${name}: ${field}`);
        }
        const hosts = seen.fields["x-forwarded-host"] ?? [];
        assert.ok(host || !hosts.includes("evil.example"), `${name}: X-Forwarded-Host`);
        const words = Object.keys(seen.fields).filter((field) => foreign.some((start) => field.startsWith(start)));
        assert.deepEqual(words, [], name);
      }
    }
  });

  promise("a sign-out ends the session at once", async () => {
    const cookie = signedIn("grace");
    assert.equal((await ask("GET", "/account", [cookie])).status, 200);
    assert.equal((await ask("POST", "/logout", [cookie, "Origin: http://app.example.com"])).status, 200);
    assert.equal((await ask("GET", "/account", [cookie])).status, 401);
    assert.equal((await ask("GET", "/api/get-auth-token", [cookie])).status, 401);
  });

  if (front.patience) {
    promise("a gateway that hangs holds up a page for seconds, and public files not at all", async () => {
      process.kill(gateway.pid, "SIGSTOP");
      try {
        const before = [app.seen.length, Date.now()];
        const answer = await ask("GET", "/");
        assert.ok(answer.status >= 400, `${answer.status}`);
        const took = (Date.now() - before[1]) / 1000;
        assert.ok(took < front.patience + 5, `${took} s`);
        assert.equal(app.seen.length, before[0]);
        assert.equal((await ask("GET", "/public/logo.svg")).status, 200);
      } finally {
        process.kill(gateway.pid, "SIGCONT");
      }
    });
  }

  promise("without a gateway, guarded pages are refused and public files served", async () => {
    await gateway.stop();
    const before = app.seen.length;
    for (const target of ["/account", "/admin/x", "/", "/public/..", "/public/.", "/public/%2e%2e", "/public/a/..", "/public/a/../.."]) {
      const answer = await ask("GET", target, [signedIn("ada")]);
      assert.ok(answer.status === 0 || answer.status >= 400, `${target}: ${answer.status}`);
    }
    assert.equal(app.seen.length, before);
    assert.equal((await ask("GET", "/public/logo.svg")).status, 200);
  });
}

describe("Traefik's questions, as its documentation describes them", () => {
  let gateway;
  before(async () => {
    gateway = await Gateway.start(SETTINGS, SECRETS);
  });
  after(() => gateway?.kill());

  /** GET with the client's header fields, and Traefik's own words about the request. */
  async function asked(method, uri, fields = []) {
    const { port } = new URL(gateway.auth);
    const own = [
      `X-Forwarded-Method: ${method}`,
      "X-Forwarded-Proto: https",
      "X-Forwarded-Host: app.example.com",
      `X-Forwarded-Uri: ${uri}`,
      "X-Forwarded-For: 192.0.2.7",
    ];
    const lines = ["GET /auth/forward HTTP/1.1", `Host: 127.0.0.1:${port}`, "Connection: close", ...own, ...fields];
    return exchange(port, `${lines.join("\r\n")}\r\n\r\n`);
  }

  /** What Traefik then sends to the app: each listed field removed, and set from the answer. */
  function forwarded(answer) {
    const [block] = blocks("traefik", "yaml");
    const names = block.match(/authResponseHeaders: \[(.*)\]/)[1].split(", ");
    return Object.fromEntries(names.map((name) => [name, answer.headers[name.toLowerCase()]]));
  }

  test("a page gets its user and token, and nothing where nobody is signed in", async () => {
    const cookie = session("ada");
    const page = forwarded(await asked("GET", "/account", [`Cookie: ${cookie}`, "X-Auth-User: evil"]));
    assert.equal(page["X-Auth-User"], "ada");
    assert.match(page["X-Page-Token"], /^eyJ/);
    assert.equal(page.Cookie, cookie);
    const open = forwarded(await asked("GET", "/", ["X-Auth-User: evil", "X-Page-Token: evil"]));
    assert.deepEqual(open, { "X-Auth-User": "", "X-Page-Token": "", Cookie: "" });
  });

  test("refusals have their status, and the sign-in page is a path", async () => {
    assert.equal((await asked("GET", "/account")).status, 401);
    const opened = await asked("GET", "/account", ["Sec-Fetch-Mode: navigate"]);
    assert.deepEqual([opened.status, opened.headers.location], [303, "/login?next=/account"]);
    assert.equal((await asked("GET", "/limited")).status, 200);
    const limited = await asked("GET", "/limited");
    assert.equal(limited.status, 429);
    const wait = Number(limited.headers["retry-after"]);
    assert.ok(wait > 3600 - 300 && wait <= 3600, `${wait} s`);
  });

  test("of the same spoofed heads and paths, nothing passes", async () => {
    for (const { name, method = "GET", target = "/", fields = [] } of cases) {
      // What Traefik writes itself replaces the client's.
      const others = fields.filter((field) => !/^x-forwarded-(for|proto|host|uri|method):/i.test(field));
      const answer = await asked(method, target, others);
      if (answer.status !== 200) continue;
      assert.ok(!guarded(target), `${name}: ${target} may pass`);
      const words = others.filter((field) => foreign.some((start) => field.toLowerCase().startsWith(start)));
      assert.deepEqual(words, [], name);
      assert.deepEqual(forwarded(answer), { "X-Auth-User": "", "X-Page-Token": "", Cookie: answer.headers.cookie }, name);
      assert.ok(others.every((field) => !/^x[^a-z0-9-]auth|^x-auth[^a-z0-9-]user/i.test(field)), name);
    }
  });

  test("a WebSocket's question names ws or wss", async () => {
    const { port } = new URL(gateway.auth);
    const lines = ["GET /auth/forward HTTP/1.1", "Host: a", "Connection: close", "X-Forwarded-Method: GET", "X-Forwarded-Proto: wss"];
    lines.push("X-Forwarded-Host: app.example.com", "X-Forwarded-Uri: /socket", `Cookie: ${session("ada")}`);
    assert.equal((await exchange(port, `${lines.join("\r\n")}\r\n\r\n`)).status, 200);
  });

  test("the gateway printed no secret", () => gateway.stop());
});

describe("ingress-nginx's questions", () => {
  test("auth-url's X-Original-URL and X-Original-Method are read", async () => {
    const gateway = await Gateway.start(SETTINGS, SECRETS);
    try {
      const { port } = new URL(gateway.auth);
      const own = ["X-Original-Method: GET", "X-Sent-From: nginx-ingress-controller"];
      const ask = (uri, fields) => {
        own[2] = `X-Original-URL: https://app.example.com${uri}`;
        const more = ["X-Real-IP: 192.0.2.7", "X-Forwarded-For: 192.0.2.7", "X-Auth-Request-Redirect: /account"];
        const lines = ["GET /auth/nginx HTTP/1.1", "Host: portcullis.default.svc.cluster.local", "Connection: close"];
        return exchange(port, `${[...lines, ...own, ...more, ...fields].join("\r\n")}\r\n\r\n`);
      };
      const answer = await ask("/account", [`Cookie: ${session("ada")}`]);
      const [block, emptied] = blocks("ingress-nginx", "yaml");
      // The controller's own words hide the client's from the gateway, so the app must not get them.
      for (const [name] of own.map((field) => field.split(":")).filter(([name]) => foreign.includes(name.toLowerCase()))) {
        assert.match(emptied, new RegExp(`^  ${name}: ""$`, "m"));
      }
      const names = block.match(/auth-response-headers: (.*)/)[1].split(", ").map((name) => name.toLowerCase());
      assert.equal(answer.status, 200);
      for (const name of names) assert.ok(answer.headers[name], name);
      assert.equal((await ask("/account", [])).status, 401);
    } finally {
      await gateway.stop();
      gateway.kill();
    }
  });
});
