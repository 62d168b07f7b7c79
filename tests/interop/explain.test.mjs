// `check --explain`: the lines that it prints for nginx, Caddy and Next.js are given to those programs.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { binary } from "./harness.mjs";

const NGINX = "/usr/sbin/nginx";
const CADDY = fileURLToPath(new URL("fronts/.venv/bin/caddy", import.meta.url));
const ENVOY = fileURLToPath(new URL("fronts/.venv/bin/envoy", import.meta.url));
const HAPROXY = "/usr/sbin/haproxy";
const LUA = fileURLToPath(new URL("../../deploy/haproxy/portcullis.lua", import.meta.url));

const REST = `
[session]
kind = "jwt"
cookie = "sid"
algorithms = ["HS256"]
secret = "env:SECRET"

[token.portive]
path = "/api/get-auth-token"
preset = "portive"
key = "env:KEY"
ttl = "1m"
`;
const IDENTITY = `\n[identity]\nheaders = { "X-Auth-User" = "{session.user_id}" }\n`;

let folder;
before(() => {
  for (const program of [NGINX, CADDY, ENVOY, HAPROXY]) assert.ok(existsSync(program), `${program} is missing: run tests/run --front-packages`);
  folder = mkdtempSync(join(tmpdir(), "portcullis-explain-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** The blocks printed for a file, by the program that each is for. */
function explained(settings) {
  const file = join(folder, "gateway.toml");
  writeFileSync(file, settings);
  const env = { PATH: process.env.PATH, SECRET: "only-for-this-test-0123456789abcdef", KEY: "PRTV_onlyForTest_0123456789abcdef" };
  const { status, stdout, stderr } = spawnSync(binary(), ["check", "--explain", "--config", file], { encoding: "utf8", env });
  assert.equal(status, 0, stderr + stdout);
  const blocks = {};
  let program;
  for (const [, title, block] of stdout.matchAll(/^(\w[^\n]*):\n\n((?: {2}.*\n?)+)/gm)) {
    // The lines of one program may belong in several places.
    if (/^(?:and|in) /.test(title)) blocks[`${program} ${title}`] = block;
    else blocks[(program = title.split(/[, ]/)[0])] = block;
  }
  return { text: stdout, app: blocks["nginx and in the app's location"] ?? "", ...blocks };
}

function run(program, args) {
  const env = { PATH: process.env.PATH, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", cwd: folder, env });
  return { status, said: stdout + stderr };
}

function takenByNginx(server, location) {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${kind};`).join(" ");
  const app = `location / {\n${location}\nproxy_pass http://127.0.0.1:3000;\n}`;
  writeFileSync(
    join(folder, "nginx.conf"),
    `pid nginx.pid; error_log stderr;\nevents {}\nhttp {\naccess_log off; ${temporary}\nserver {\nlisten unix:${folder}/n.sock;\n${server}\n${app}\n}}`,
  );
  return run(NGINX, ["-t", "-p", folder, "-c", join(folder, "nginx.conf"), "-e", "stderr"]);
}

function takenByCaddy(block) {
  const site = `{\nadmin off\nauto_https off\n}\nhttp://:8081 {\nroute {\n${block}\nreverse_proxy 127.0.0.1:3000\n}\n}\n`;
  writeFileSync(join(folder, "Caddyfile"), site);
  return run(CADDY, ["validate", "--adapter", "caddyfile", "--config", join(folder, "Caddyfile")]);
}

function takenByEnvoy(blocks) {
  const indented = (text, by) => text.replace(/^(?=.)/gm, " ".repeat(by));
  const proxy = "type.googleapis.com/envoy.extensions.filters";
  const text = `static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": ${proxy}.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: app
          http_filters:
${indented(blocks.Envoy, 8)}
          - name: envoy.filters.http.router
            typed_config: { "@type": ${proxy}.http.router.v3.Router }
          route_config:
            virtual_hosts:
            - name: app
              domains: ["*"]
              routes:
${indented(blocks["Envoy in routes, before the one that leads to the app"], 12)}
              - { match: { prefix: / }, direct_response: { status: 200 } }
  clusters:
${blocks["Envoy and in clusters"]}`;
  writeFileSync(join(folder, "envoy.yaml"), text);
  return run(ENVOY, ["--mode", "validate", "-c", join(folder, "envoy.yaml"), "-l", "warn"]);
}

function takenByHaproxy(blocks) {
  const text = `global
${blocks.HAProxy.replace("/etc/haproxy/portcullis.lua", LUA)}
defaults
  mode http
  timeout connect 2s
  timeout client 2s
  timeout server 2s
frontend app
  bind 127.0.0.1:8081
${blocks["HAProxy in the frontend that leads to the app"]}
  default_backend app
backend app
  server app 127.0.0.1:3000
${blocks["HAProxy and a backend"]}`;
  writeFileSync(join(folder, "haproxy.cfg"), text);
  return run(HAPROXY, ["-c", "-f", join(folder, "haproxy.cfg")]);
}

const reachable = (text) => assert.ok(!/0\.0\.0\.0|\[::\]/.test(text), text);

const LISTEN = ['"127.0.0.1:8080"', '"0.0.0.0:8080"', '"[::]:8080"', '"unix:/run/portcullis.sock"', '["unix:/run/portcullis.sock", "0.0.0.0:8080"]'];
const ASKED = ['"127.0.0.1:9191"', '"0.0.0.0:9191"', '"[::]:9191"', '"unix:/run/portcullis/auth.sock"'];

for (const listen of LISTEN) {
  for (const asked of ASKED) {
    test(`each proxy takes its lines for listen = ${listen} and [auth] listen = ${asked}`, () => {
      const { text, nginx, Caddy, app, ...others } = explained(`[server]\nlisten = ${listen}\n[auth]\nlisten = ${asked}\n${REST}${IDENTITY}`);
      reachable(text);
      assert.ok(nginx.includes("/auth/nginx;") && app.includes("auth_request /_ask;"), text);
      const ofNginx = takenByNginx(nginx, app);
      assert.equal(ofNginx.status, 0, `${ofNginx.said}\n${text}`);
      assert.match(Caddy, /forward_auth/);
      const ofCaddy = takenByCaddy(Caddy);
      assert.equal(ofCaddy.status, 0, `${ofCaddy.said}\n${text}`);
      const ofEnvoy = takenByEnvoy(others);
      assert.equal(ofEnvoy.status, 0, `${ofEnvoy.said}\n${text}`);
      if (asked.includes("unix:")) {
        assert.match(text, /HAProxy asks by HTTP and cannot ask a Unix socket/);
        return;
      }
      assert.match(others["HAProxy in the frontend that leads to the app"], / x-auth-user,cookie unless token$/m);
      const ofHaproxy = takenByHaproxy(others);
      assert.equal(ofHaproxy.status, 0, `${ofHaproxy.said}\n${text}`);
    });
  }

  test(`Next.js and nginx take the rewrites for listen = ${listen}`, () => {
    const { text, nginx, ...blocks } = explained(`[server]\nlisten = ${listen}\npublic_origin = "https://app.example.com"\n${REST}`);
    reachable(text);
    const ofNginx = takenByNginx(nginx, "");
    assert.equal(ofNginx.status, 0, `${ofNginx.said}\n${text}`);
    assert.equal(JSON.parse(blocks["vercel.json"]).rewrites[0].source, "/api/get-auth-token");
    const config = blocks["next.config.js"];
    if (config === undefined) {
      assert.ok(!listen.includes(":80"), "an address that Next.js can call is used");
      assert.match(text, /^Next\.js: its rewrites cannot lead to a Unix socket/m);
      return;
    }
    return new Function(`return { ${config} }`)()
      .rewrites()
      .then(({ beforeFiles: [{ source, destination }] }) => {
        assert.equal(source, "/api/get-auth-token");
        assert.equal(new URL(destination).pathname, source);
        assert.match(destination, /^http:\/\/(127\.0\.0\.1|\[::1\]):8080\//);
      });
  });
}

test("a socket that nginx and Caddy cannot name is said to be one", () => {
  const { text } = explained(`[server]\nlisten = "unix:/run/a;b:c.sock"\n[auth]\n${REST}`);
  assert.match(text, /cannot route unix:\/run\/a;b:c\.sock/);
  assert.ok(!text.includes("proxy_pass"), text);
});

const FORWARD_AUTH = `[server]\nlisten = "127.0.0.1:8080"\n[auth]\n${REST}${IDENTITY}`;
const TOKENS_ONLY = `[server]\nlisten = "127.0.0.1:8080"\npublic_origin = "https://app.example.com"\n${REST}`;
const at = (settings, path) => settings.replace("/api/get-auth-token", path);

for (const path of ["/api/a;b", "/api/{x}", "/api/a%20b", "/api/a$arg_b", "/api/(a)"]) {
  test(`a path that programs would read as something else is left out and named: ${path}`, () => {
    for (const settings of [FORWARD_AUTH, TOKENS_ONLY]) {
      const { text, app, ...blocks } = explained(at(settings, path));
      assert.ok(text.includes(`read a sign of ${path} as something else`), text);
      assert.ok(!Object.values(blocks).join().includes(path), text);
      assert.equal(takenByNginx(blocks.nginx ?? "", app).status, 0, text);
    }
  });
}

test("a path that is a pattern to Next.js is none to the proxies", () => {
  const { text, nginx } = explained(at(TOKENS_ONLY, "/v1/token:mint"));
  assert.match(text, /Next\.js and Vercel read a sign of \/v1\/token:mint/);
  assert.ok(nginx.includes("location = /v1/token:mint {"), text);
  const { text: all, nginx: lines, app, Caddy, ...others } = explained(at(FORWARD_AUTH, "/v1/token:mint"));
  const taken = [takenByNginx(lines, app), takenByCaddy(Caddy), takenByEnvoy(others), takenByHaproxy(others)];
  assert.deepEqual(taken.map(({ status }) => status), [0, 0, 0, 0], `${taken.map(({ said }) => said)}\n${all}`);
});
