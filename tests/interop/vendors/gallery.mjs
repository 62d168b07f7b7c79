// The gallery of `deploy/guides/vendors.md`, run as its reader would run it: all blocks in one file, secrets that open nothing, and a
// stand-in where the blocks would call a vendor.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { Gateway, binary } from "../harness.mjs";
import { NEXTAUTH_SECRET, cookieOf } from "../support/session.mjs";

const ROOT = new URL("../../../", import.meta.url);
const FIXTURES = new URL("tests/fixtures/", ROOT);

const fixture = JSON.parse(readFileSync(new URL("gallery.json", FIXTURES)));

/** Who is signed in. */
export const { user_id: USER, ...SESSION } = fixture.session;

/** The secrets of all blocks, by environment variable. */
export const secrets = Object.fromEntries(
  Object.entries(fixture.secrets).map(([name, value]) => [name, content(value)]),
);

export const RSA_PUBLIC = readFileSync(new URL("tokens/keys/rsa-public.pem", FIXTURES), "utf8");
export const EC_PUBLIC = readFileSync(new URL("tokens/keys/ec-p256-public.pem", FIXTURES), "utf8");

function content(value) {
  const [, encoding, file] = value.match(/^(base64 of )?(keys\/.*)$/) ?? [];
  if (!file) return value;
  const bytes = readFileSync(new URL(`tokens/${file}`, FIXTURES));
  return bytes.toString(encoding ? "base64" : "utf8");
}

/** What the browser asks each block for, by name of the input. */
export const requests = fixture.requests;

/** Every block: its name, preset, path and text. */
export const blocks = (() => {
  const page = readFileSync(new URL("deploy/guides/vendors.md", ROOT), "utf8");
  const toml = [...page.matchAll(/```toml\n(.*?)```/gs)].map(([, text]) => text).join("\n");
  return toml.split(/^(?=\[token\.)/m).map((text) => ({
    name: text.match(/^\[token\.(.*?)\]/)[1],
    preset: text.match(/^preset = "(.*?)"/m)[1],
    path: text.match(/^path = "(.*?)"/m)[1],
    text,
  }));
})();

/** The settings of a gateway with every block of the gallery. Calls to `https://HOST/…` go to `/HOST/…` of `issuer`. */
export function settings({ app, issuer }) {
  return `
[upstream]
servers = ["${app}"]

[session]
kind = "next-auth"
secret = "env:NEXTAUTH_SECRET"

${blocks.map((block) => nextDoor(block, issuer)).join("\n")}`;
}

/** What a gateway with these settings finds in its environment. */
export const environment = { NEXTAUTH_SECRET, ...secrets };

/** A gateway with every block of the gallery in front of `app`. */
export function openGateway(servers) {
  return Gateway.start(settings(servers), environment);
}

function nextDoor({ preset, text }, issuer) {
  const members = execFileSync(binary(), ["presets", preset], { encoding: "utf8" });
  if (/^url = /m.test(text)) return text.replace(/^url = "https:\/\//m, `url = "${issuer}/`);
  const calls = members.match(/^(url|first) = .*$/gm) ?? [];
  const near = calls.map((line) => line.replace(/url = "https:\/\//, `url = "${issuer}/`));
  return text.replace(/^(\[.*?\]).*/, ["$1", ...near].join("\n"));
}

/** The `Cookie` header of somebody who is signed in. */
export function signedIn(user = USER, claims = {}) {
  return cookieOf(user, { ...SESSION, ...claims });
}
