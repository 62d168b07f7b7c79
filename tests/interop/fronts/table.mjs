// The fronts, one row each: a real proxy that runs the lines of its guide, inside the least that they need around them.
//
//   language   of the guide's fenced blocks; `own` are those of this row, where the page has others
//   cookies    fields of 7 KB that it lets through, where these are more than most programs take
//   patience   seconds until it refuses what a gateway that hangs does not answer
//   start      what starts the proxy in a folder; `write` gives it its files there, with the addresses in place

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const root = join(here, "../../..");
const python = join(here, ".venv/bin");

export const guides = "deploy/guides/howto";

/** The fenced blocks of a guide in one language. */
export function blocks(page, language) {
  const text = readFileSync(join(root, guides, `${page}.md`), "utf8");
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter((block) => block[1] === language).map((block) => block[2]);
}

/** A guide's block with the test's own addresses in place of its examples. */
function placed(text, { app, gateway, auth }) {
  return text.replaceAll("127.0.0.1:3000", app).replaceAll("127.0.0.1:8080", gateway).replaceAll("127.0.0.1:9191", auth);
}

const indented = (text, by) => text.replace(/^(?=.)/gm, " ".repeat(by));

const nginx = {
  name: "nginx",
  language: "nginx",
  cookies: 3,
  patience: 10,
  start: (folder) => ["/usr/sbin/nginx", ["-p", folder, "-c", join(folder, "nginx.conf"), "-e", "stderr"]],
  write(port, addresses) {
    const [server, location] = blocks("nginx", "nginx").map((text) => placed(text, addresses));
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${kind};`);
    return {
      "nginx.conf": `
daemon off; master_process off; pid nginx.pid; error_log stderr;
events {}
http {
access_log off; ${temporary.join(" ")}
map $http_upgrade $upgraded { default upgrade; "" close; }
server {
listen 127.0.0.1:${port};
${server}
location / {
${location}
proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $upgraded;
proxy_set_header Host $http_host; proxy_pass http://${addresses.app};
}}}`,
    };
  },
};

const caddy = {
  name: "Caddy",
  language: "caddyfile",
  start: (folder) => [join(python, "caddy"), ["run", "--adapter", "caddyfile", "--config", join(folder, "Caddyfile")]],
  write(port, addresses) {
    const [site] = blocks("caddy", "caddyfile").map((text) => placed(text, addresses));
    return { Caddyfile: `{\nadmin off\nauto_https off\npersist_config off\n}\nhttp://:${port} {\nbind 127.0.0.1\nroute {\n${site}reverse_proxy ${addresses.app}\n}\n}\n` };
  },
};

/** `own` are the guide's blocks of the filter and of the routes; `more` changes the filter. */
const envoy = (name, own, asks, more = (filter) => filter) => ({
  name,
  page: "envoy",
  own,
  patience: 5,
  language: "yaml",
  start: (folder) => [
    join(python, "envoy"),
    ["-c", join(folder, "envoy.yaml"), "--use-dynamic-base-id", "--concurrency", "1", "-l", "warn"],
  ],
  write(port, addresses) {
    const all = blocks("envoy", "yaml").map((text) => placed(text, addresses));
    const [filter, routes] = own.map((index) => all[index]);
    const cluster = (name, address, more = "") => {
      const [host, number] = address.split(":");
      const endpoint = `{ endpoint: { address: { socket_address: { address: ${host}, port_value: ${number} } } } }`;
      return `  - { name: ${name}, load_assignment: { cluster_name: ${name}, endpoints: [{ lb_endpoints: [${endpoint}] }] }${more} }`;
    };
    const proxy = "type.googleapis.com/envoy.extensions.filters";
    return {
      "envoy.yaml": `
static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: ${port} } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": ${proxy}.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: app
          use_remote_address: true
          upgrade_configs: [{ upgrade_type: websocket }]
          http_filters:
${indented(more(filter), 10)}
          - name: envoy.filters.http.router
            typed_config: { "@type": ${proxy}.http.router.v3.Router }
          route_config:
            virtual_hosts:
            - name: app
              domains: ["*"]
              routes:
${indented(routes, 14)}
              - { match: { prefix: / }, route: { cluster: app } }
  clusters:
${cluster("app", addresses.app)}
${cluster("portcullis", addresses.gateway)}
${cluster("portcullis_auth", addresses.auth, asks)}
`,
    };
  },
});

const HTTP2 =
  ', typed_extension_protocol_options: { envoy.extensions.upstreams.http.v3.HttpProtocolOptions: { "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: { http2_protocol_options: {} } } }';

/** `more` are lines for `global`. */
const haproxy = (name, more, cookies) => ({
  name,
  page: "haproxy",
  cookies,
  language: "haproxy",
  start: (folder) => ["/usr/sbin/haproxy", ["-f", join(folder, "haproxy.cfg")]],
  write(port, addresses) {
    const [global, frontend] = blocks("haproxy", "haproxy").map((text) => placed(text, addresses));
    return {
      "haproxy.cfg": `
global
${more}
${global.replace("/etc/haproxy/portcullis.lua", join(root, "deploy/haproxy/portcullis.lua"))}
defaults
mode http
timeout connect 2s
timeout client 30s
timeout server 30s
frontend app
bind 127.0.0.1:${port}
${frontend}
default_backend app
backend app
server app ${addresses.app}
backend portcullis
server portcullis ${addresses.gateway}
`,
    };
  },
});

/** Each header as it came, instead of those of one name joined by commas. */
const raw = (filter) => filter.replace("transport_api_version: V3", "$&\n    encode_raw_headers: true");

export const table = [
  nginx,
  caddy,
  envoy("Envoy", [0, 1], ""),
  envoy("Envoy over gRPC", [2, 1], HTTP2),
  envoy("Envoy over gRPC with raw headers", [2, 1], HTTP2, raw),
  haproxy("HAProxy", ""),
  haproxy("HAProxy for many cookies", "tune.bufsize 49152", 3),
];
