// `portcullis token NAME` mints what the endpoint answers, for every block of the gallery; and refuses what it refuses.
//
// A token of a remote issuer comes from a stand-in, whose answer the command is given.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createDecipheriv } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { binary } from "./harness.mjs";
import { SESSION, USER, blocks, environment, openGateway, requests, secrets, settings, signedIn } from "./vendors/gallery.mjs";
import { Issuer } from "./vendors/issuer.mjs";
import { rows as documented } from "./vendors/rows/documented.mjs";
import { rows as asked } from "./vendors/rows/exchange.mjs";
import { rows as twins } from "./vendors/rows/issuers.mjs";
import { rows as libraries } from "./vendors/rows/sdk.mjs";

const { AccessToken2 } = createRequire(new URL("vendors/", import.meta.url))("agora-token/src/AccessToken2.js");
const exchanges = { ...asked, ...documented, ...twins, ...libraries };

let gateway, issuer, folder, cookie;

before(async () => {
  issuer = await Issuer.open();
  const servers = { app: "http://127.0.0.1:1", issuer: issuer.url };
  gateway = await openGateway(servers);
  folder = mkdtempSync(join(tmpdir(), "portcullis-"));
  writeFileSync(join(folder, "gateway.toml"), settings(servers));
  cookie = await signedIn();
  gateway.keepSecret(cookie.slice(cookie.indexOf("=") + 1));
}, { timeout: 240_000 });

after(() => {
  gateway?.kill();
  issuer?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** Where each input of a block stands in a request: preset's own, or as its table says. */
function inputs({ preset, text }) {
  const own = preset.startsWith("pusher-") ? { socket_id: "form:socket_id", channel_name: "form:channel_name" } : {};
  const written = [...text.matchAll(/^request\.(\w+) = \{.*?from = "(.*?)"/gm)].map(([, name, from]) => [name, from]);
  return { ...own, ...Object.fromEntries(written) };
}

/** The endpoint's answer to inputs by name: status, body, and the seconds between which it was made. */
async function endpoint(block, given) {
  const places = Object.entries(inputs(block)).filter(([name]) => name in given);
  const [kind] = places[0]?.[1].split(":") ?? [];
  const named = Object.fromEntries(places.map(([name, from]) => [from.split(":")[1], given[name]]));
  const needsPost = kind === "json" || block.preset.startsWith("pusher-");
  const headers = { cookie, ...(kind === "json" ? { "content-type": "application/json" } : {}) };
  const form = needsPost ? (kind === "json" ? JSON.stringify(named) : new URLSearchParams(named)) : undefined;
  const query = needsPost ? "" : `?${new URLSearchParams(named)}`;
  const began = Math.floor(Date.now() / 1000);
  const response = await fetch(gateway.url + block.path + query, { method: needsPost ? "POST" : "GET", headers, body: form });
  const text = await response.text();
  return { status: response.status, text, response, began, ended: Math.floor(Date.now() / 1000) };
}

/** What the command prints for the same inputs. */
async function command({ name }, given, now, answer) {
  const session = JSON.stringify({ user_id: USER, ...SESSION });
  const options = ["--session", session, "--request", JSON.stringify(given), "--now", String(now), "--json"];
  if (answer !== undefined) options.push("--answer", answer);
  // The code says whether it minted; what it prints says so as well.
  const run = promisify(execFile)(binary(), ["token", name, ...options], { cwd: folder, env: { PATH: process.env.PATH, ...environment } });
  const { stdout } = await run.catch((error) => error);
  return JSON.parse(stdout);
}

const JWT = /^eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+$/;
const decoded = (part) => JSON.parse(Buffer.from(part, "base64url"));

/** A text without what is drawn anew for each token. A JWT is its header and claims: others verify its signature. */
function settled(text, block) {
  if (JWT.test(text)) {
    const [header, { jti, ...claims }] = text.split(".").slice(0, 2).map(decoded);
    return { header, claims, jti: typeof jti };
  }
  if (text.startsWith("007")) return agora(text);
  if (block.preset === "zego" && text.startsWith("04")) return zego(text);
  const around = text.match(/^(.*?)(eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+)(.*)$/);
  return around ? [around[1], settled(around[2], block), around[3]] : text;
}

function agora(text) {
  const token = new AccessToken2("", "", 0, 0);
  assert.equal(token.from_string(text), true);
  const services = token.services.map(({ __type, __privileges, __channel_name, __uid, __user_id }) =>
    [__type, __privileges, __channel_name, __uid, __user_id].map(String));
  return [token.appId.toString(), token.issueTs, token.expire, services];
}

function zego(text) {
  const bytes = Buffer.from(text.slice(2), "base64");
  const decipher = createDecipheriv("aes-256-cbc", secrets.ZEGO_SERVER_SECRET, bytes.subarray(10, 26));
  const { nonce, ...rest } = JSON.parse(Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]));
  return rest;
}

/** An answer's body without what is drawn anew. */
function essence(text, block) {
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    return settled(text, block);
  }
  if (block.preset === "ably-token-request") {
    const { nonce, mac, timestamp, ...rest } = body;
    return { ...rest, timestamp: Math.floor(timestamp / 1000) };
  }
  if (block.preset === "imagekit") return { expire: body.expire };
  return JSON.parse(JSON.stringify(body), (_, value) => (typeof value === "string" ? settled(value, block) : value));
}

const equal = (one, other) => JSON.stringify(one) === JSON.stringify(other);

for (const block of blocks) {
  const given = requests[block.name] ?? {};
  const { answers } = exchanges[block.name] ?? {};

  test(`${block.name}: the command mints what the endpoint answers`, { timeout: 240_000 }, async () => {
    issuer.answer = answers ?? {};
    const found = await endpoint(block, given);
    assert.equal(found.status, 200, found.text);
    const last = typeof answers === "function" ? answers(issuer.taken().at(-1)) : answers;
    const answer = typeof last === "object" ? JSON.stringify(last) : last;
    const wanted = essence(found.text, block);
    let minted;
    for (let now = found.began; now <= found.ended; now += 1) {
      minted = await command(block, given, now, answer);
      assert.equal(minted.outcome, "minted", JSON.stringify(minted));
      if (equal(essence(minted.body, block), wanted)) break;
    }
    assert.deepEqual(essence(minted.body, block), wanted);
    assert.equal(minted.content_type, found.response.headers.get("content-type"));
    const [cookie] = found.response.headers.getSetCookie();
    if (cookie?.startsWith("mercure") || cookie?.startsWith("__")) {
      const value = cookie.slice(cookie.indexOf("=") + 1, cookie.indexOf(";"));
      assert.deepEqual(settled(minted.token, block), settled(value, block));
    }
  });

  test(`${block.name}: the command refuses what the endpoint refuses`, { timeout: 240_000 }, async () => {
    const names = Object.keys(inputs(block)).filter((name) => name in given);
    const wrong = names.flatMap((name) => {
      const { [name]: _, ...others } = given;
      return [others, { ...given, [name]: "" }, { ...given, [name]: "rival:x" }, { ...given, [name]: "a\u0000b" }, { ...given, [name]: "x".repeat(5000) }];
    });
    for (const inputs of wrong) {
      const found = await endpoint(block, inputs);
      const now = Math.floor(Date.now() / 1000);
      const minted = await command(block, inputs, now, answers && JSON.stringify(answers));
      const shown = JSON.stringify(inputs).slice(0, 80);
      if (found.status === 200) assert.equal(minted.outcome, "minted", shown);
      else assert.deepEqual([minted.outcome, minted.code], ["refused", JSON.parse(found.text).code], shown);
    }
  });
}

test("the gateway stops when asked, and printed no key, cookie or token", () => gateway.stop());
