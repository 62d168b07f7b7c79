// Requests of nobody who would like to be somebody, or somewhere else: paths that programs read differently, words of
// proxies, identity headers in every spelling, hosts.

import { readFileSync } from "node:fs";

const FORGED = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.";

const paths = [
  "/admin",
  "/admin/",
  "/Admin/x",
  "/%61dmin/x",
  "/public/../admin/x",
  "/public/%2e%2e/admin/x",
  "/public/..%2fadmin/x",
  "/public/..%2Fadmin",
  "//admin/x",
  "/%2fadmin/x",
  "/./admin/x",
  "/public/..;/admin/x",
  "/admin;a=b/x",
  "/admin%2fx",
  "/%5cadmin/x",
  "/public%2f..%2fadmin",
  "/x/../admin/x.json",
  "/admin.json",
  "/_next/data/build/admin/x.json",
  "/admin/x?next=/public/x",
  "/public/x%00/../../admin",
  "/admin/../public/x.txt",
  "/admin/x/../../public/x.txt",
  "/admin/%2e%2e/public/x.txt",
  "/admin/..%2fpublic%2fx.txt",
  "/admin%2f..%2fpublic%2fx.txt",
  "/admin/..%5cpublic%5cx.txt",
  "/admin//../../public/x.txt",
].map((target) => ({ name: `path ${target}`, target }));

const words = [
  "X-Forwarded-Uri: /public/x",
  "X-Forwarded-Method: OPTIONS",
  "X-Forwarded-Host: evil.example",
  "X-Original-URI: /public/x",
  "X-Original-URL: /public/x",
  "X-Original-Method: OPTIONS",
  "X-Rewrite-URL: /public/x",
  "X-HTTP-Method-Override: OPTIONS",
  "X-Middleware-Subrequest: middleware",
  "X-Envoy-Original-Path: /public/x",
  "Forwarded: for=127.0.0.1;host=evil.example",
].map((field) => ({ name: `word ${field}`, target: "/admin/x", fields: [field] }));

/** The families of one list of the gateway's own: headers that begin like this. */
export function families(list) {
  const source = readFileSync(new URL("../../../src/request/untrusted.rs", import.meta.url), "utf8");
  const [, text] = source.match(new RegExp(`^const ${list}: [^=]*= \\[$(.*?)^\\];$`, "ms"));
  return [...text.matchAll(/"([a-z0-9-]+)"/g)].map(([, start]) => start);
}

/** What no app may hear from a client, whether the gateway is asked or not: which page, method or host it means, and who it is. */
const original = ["x-original-method", "x-original-uri", "x-original-url"];
export const foreign = [...families("OVERRIDES"), ...families("GATES"), ...original];

const overrides = ["/", "/public/x.txt"].flatMap((target) =>
  foreign
    .map((start) => `${start}${start.endsWith("-") ? "x" : ""}: /admin`)
    .concat("X-HTTP-Method-Override: DELETE", "X-Middleware-Subrequest: middleware", "X-Rewrite-URL: /admin", "X-Original-URL: /admin")
    .map((field) => ({ name: `${target} with ${field}`, target, fields: [field] })),
);

const identities = [
  ["X-Auth-User: admin"],
  ["x-auth-user: admin"],
  ["X_Auth_User: admin"],
  ["X.Auth.User: admin"],
  ["x-auth_user: admin"],
  ["X~Auth~User: admin"],
  ["X-Auth-User: admin", "X-Auth-User: root"],
  ["X-Page-Token: eyJ.admin.x"],
  ["X_Page_Token: eyJ.admin.x"],
].map((fields) => ({ name: `identity ${fields}`, fields }));

const connections = [
  { name: "Connection names the identity", fields: ["Connection: x-auth-user", "X-Auth-User: admin"] },
  { name: "Connection names the cookie", target: "/admin/x", fields: ["Connection: cookie"] },
];

const sessions = [
  { name: "garbage", fields: ["Cookie: sid=garbage", "X-Auth-User: admin"] },
  { name: "an unsigned session", target: "/admin/x", fields: [`Cookie: sid=${FORGED}`] },
  { name: "an empty session", target: "/admin/x", fields: ["Cookie: sid="] },
];

const hosts = [
  { name: "another host", target: "/admin/x", host: "evil.example" },
  { name: "a host in capitals", target: "/admin/x", host: "APP.Example.COM" },
  { name: "a host with a dot", target: "/admin/x", host: "app.example.com." },
  ...["/", "/public/x.txt"].map((target) => ({ name: `${target} of a host of the client's`, target, fields: ["X-Forwarded-Host: evil.example"] })),
  { name: "an absolute target", target: "http://evil.example/admin/x" },
];

const preflights = [
  { name: "a preflight", method: "OPTIONS", target: "/admin/x", fields: ["Origin: https://evil.example", "Access-Control-Request-Method: GET"] },
];

export const cases = [...paths, ...words, ...overrides, ...identities, ...connections, ...sessions, ...hosts, ...preflights];

/** Whether some app takes this path for the guarded page: one that resolves dots and escapes, or one that does not. */
export function guarded(target) {
  return resolves(target) || /^(https?:\/\/[^/]*)?\/+admin\b/i.test(target);
}

function resolves(target) {
  let path = target.replace(/^https?:\/\/[^/]*/i, "").split("?")[0];
  for (let times = 0; times < 2; times += 1) path = path.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  const segments = [];
  for (const part of path.replaceAll("\\", "/").toLowerCase().split("/")) {
    const name = part.split(";")[0];
    if (name === "..") segments.pop();
    else if (name !== "" && name !== ".") segments.push(name);
  }
  if (segments[0] === "_next" && segments[1] === "data") segments.splice(0, 3);
  return segments[0]?.replace(/\..*$/, "") === "admin";
}
