// What the gallery of `deploy/guides/vendors.md` mints, judged by the vendors' own libraries and by verifiers of other authors.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { binary } from "./harness.mjs";
import { USER, blocks, openGateway, secrets, signedIn } from "./vendors/gallery.mjs";
import { Issuer } from "./vendors/issuer.mjs";
import { verified } from "./vendors/jose.mjs";
import { Python } from "./vendors/python.mjs";
import { rows as documented } from "./vendors/rows/documented.mjs";
import { rows as asked } from "./vendors/rows/exchange.mjs";
import { rows as twins } from "./vendors/rows/issuers.mjs";
import { rows as formats } from "./vendors/rows/formats.mjs";
import { rows as embeds } from "./vendors/rows/embed.mjs";
import { rows as known } from "./vendors/rows/jwt.mjs";
import { rows as libraries } from "./vendors/rows/sdk.mjs";
import { rows as signed } from "./vendors/rows/signature.mjs";
import { rows as stored } from "./vendors/rows/storage.mjs";

const exchanges = { ...asked, ...documented, ...twins, ...libraries };
const jwts = { ...known, ...embeds };
const signatures = { ...signed, ...stored, ...formats };

let app, gateway, issuer, python, cookie;

before(async () => {
  app = createServer({ keepAliveTimeout: 600_000 }, (_, response) => response.end("the app")).listen(0, "127.0.0.1");
  await once(app, "listening");
  issuer = await Issuer.open();
  gateway = await openGateway({ app: `http://127.0.0.1:${app.address().port}`, issuer: issuer.url });
  cookie = await signedIn();
  gateway.keepSecret(cookie.slice(cookie.indexOf("=") + 1));
  python = new Python();
}, { timeout: 240_000 });

after(() => {
  gateway?.kill();
  [app, issuer, python].forEach((server) => server?.close());
});

/** What `portcullis presets` calls each. */
const WORDS = {
  documentation: "vendor's documentation",
  library: "vendor's library",
  recorded: "request recorded from the vendor's library",
};

const promise = (sentence, work) => test(sentence, { timeout: 240_000 }, work);

promise("every block of the gallery has its judge", () => {
  const judged = [exchanges, jwts, signatures].flatMap(Object.keys);
  assert.deepEqual(judged.sort(), blocks.map((block) => block.name).sort());
});

promise("`portcullis presets` says of no preset more than a test or a vector shows, and no less", (t) => {
  const said = execFileSync(binary(), ["presets"], { encoding: "utf8" }).trim().split("\n").map((line) => line.split(/ {2,}/));
  const wanted = blocks.map(({ name, preset }) => [preset, WORDS[evidence(name, preset)]]);
  assert.deepEqual(said.sort(), wanted.sort());
  said.forEach(([preset, how]) => t.diagnostic(`${preset}: ${how}`));
});

for (const [name, row] of Object.entries(jwts)) {
  promise(`${name}: ${row.says ? "the vendor's library, jose and PyJWT take" : "jose and PyJWT take"} the token`, async () => {
    const asked = Math.floor(Date.now() / 1000);
    const { response, body } = await ask(name, row.ask);
    const token = where(row, response, body);
    gateway.keepSecret(token);
    const { algorithm, key, audience, issuer } = row;
    const { protectedHeader, payload: claims } = await verified(token, row);
    assert.deepEqual(await python.claims("pyjwt", { token, algorithm, key, audience, issuer }), claims);
    assert.deepEqual(protectedHeader, header(algorithm, name, row.header));
    const { iat, nbf, exp, jti, ...others } = claims;
    assert.deepEqual(others, row.claims, "nothing is missing, nothing is added");
    assert.ok(Math.abs(exp - asked - row.life) <= 35, `it lives ${exp - asked} s, not ${row.life} s`);
    await row.says?.({ token, claims, body, python });
  });
}

for (const [name, row] of Object.entries(signatures)) {
  promise(`${name}: ${row.sentence}`, async () => {
    const { body, response } = await ask(name, row.ask);
    await row.says({ body, response, secrets, user: USER, ask: (other) => ask(name, other) });
  });
}

for (const [name, row] of Object.entries(exchanges)) {
  promise(`${name}: ${row.sentence ?? "the vendor is asked as its documentation says, and its answer handed on"}`, async () => {
    issuer.answerAs(row);
    const { body } = await ask(name, row.ask);
    const taken = issuer.taken();
    assert.equal(taken.length, row.calls ?? 1, "the vendor is asked no more often than it must be");
    await row.says({ asked: taken.at(-1), earlier: taken.slice(0, -1), body, issuer, secrets });
  });
}

promise("without a session none of the blocks answers", async () => {
  for (const { name, path } of blocks) {
    const method = name.startsWith("pusher") ? "POST" : "GET";
    const response = await fetch(gateway.url + path, { method });
    assert.equal(response.status, 401, name);
  }
});

promise("the gateway stops when asked, and printed no key, cookie or token", () => gateway.stop());

/** The answer to a signed-in user; `json` and `form` are posted. */
async function ask(name, { query = "", json, form, status = 200 } = {}) {
  const { path } = blocks.find((block) => block.name === name);
  const headers = { cookie };
  let body;
  if (json) {
    headers["content-type"] = "application/json";
    body = JSON.stringify(json);
  }
  if (form) body = new URLSearchParams(form);
  const response = await fetch(gateway.url + path + query, { method: body ? "POST" : "GET", headers, body });
  const text = await response.text();
  assert.equal(response.status, status, `${name}: ${text}`);
  assert.equal(response.headers.get("cache-control"), "no-store");
  const isJson = /^application\/(problem\+)?json\b/.test(response.headers.get("content-type"));
  return { response, body: isJson ? JSON.parse(text) : text };
}

/** How a preset is checked: by its row here, or by a vector that the vendor's library made. */
function evidence(name, preset) {
  const row = exchanges[name] ?? jwts[name] ?? signatures[name];
  if (row.evidence) return row.evidence;
  const isJudged = name in jwts ? row.says : /library|parser/.test(row.sentence ?? "");
  const vector = new URL(`../fixtures/tokens/${preset}.json`, import.meta.url);
  const { made_by: by = "" } = existsSync(vector) ? JSON.parse(readFileSync(vector)) : {};
  const isOfLibrary = by !== "" && !/^(jsonwebtoken@|node:crypto|hand-written)/.test(by);
  if (!isJudged && !isOfLibrary) return "documentation";
  return name in exchanges ? "recorded" : "library";
}

/** The token, where the vendor's client looks for it; the rest of the answer is as it should be. */
function where(row, response, body) {
  if (row.cookie) {
    const [pair] = response.headers.get("set-cookie").split(";");
    assert.ok(pair.startsWith(`${row.cookie}=`), pair);
    return pair.slice(row.cookie.length + 1);
  }
  if (row.type) {
    assert.equal(response.headers.get("content-type").split(";")[0], row.type);
    return body;
  }
  if (row.find) return row.find(body);
  const { [row.at]: token, ...others } = body;
  assert.deepEqual(others, row.body ?? {});
  return token;
}

function header(alg, name, own = {}) {
  // LiveKit's own library writes no `typ`.
  const usual = name === "livekit" ? {} : { typ: "JWT" };
  const special = name === "twilio" ? { cty: "twilio-fpa;v=1" } : {};
  return { alg, ...usual, ...special, ...own };
}
