// Tokens that vendors make, for every such block of the gallery: what is kept, whose id is sent, and what becomes of refusals and of
// answers that nobody expected.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { binary } from "./harness.mjs";
import { USER, blocks, openGateway, requests, secrets, signedIn } from "./vendors/gallery.mjs";
import { Issuer, Reply } from "./vendors/issuer.mjs";
import { rows as documented } from "./vendors/rows/documented.mjs";
import { rows as asked } from "./vendors/rows/exchange.mjs";
import { rows as twins } from "./vendors/rows/issuers.mjs";
import { rows as libraries } from "./vendors/rows/sdk.mjs";

const rows = { ...asked, ...documented, ...twins, ...libraries };
const exchanges = blocks.filter(({ name }) => name in rows);

let app, gateway, issuer;

before(async () => {
  app = createServer({ keepAliveTimeout: 600_000 }, (_, response) => response.end("the app")).listen(0, "127.0.0.1");
  await once(app, "listening");
  issuer = await Issuer.open();
  gateway = await openGateway({ app: `http://127.0.0.1:${app.address().port}`, issuer: issuer.url });
}, { timeout: 240_000 });

after(() => {
  gateway?.kill();
  [app, issuer].forEach((server) => server?.close());
});

const promise = (sentence, work) => test(sentence, { timeout: 240_000 }, work);

/** One answer of the endpoint to a user. */
async function ask({ name, path }, user, { headers = {}, query = {}, body } = {}) {
  const given = new URLSearchParams({ ...requests[name], ...query });
  const cookie = await signedIn(user);
  gateway.keepSecret(cookie.slice(cookie.indexOf("=") + 1));
  const json = body && { method: "POST", body: JSON.stringify(body) };
  const type = body ? { "content-type": "application/json" } : {};
  const response = await fetch(`${gateway.url}${path}?${given}`, { ...json, headers: { cookie, ...type, ...headers } });
  return { status: response.status, text: await response.text(), type: response.headers.get("content-type") };
}

/** The vendor's usual answer, and the first call's beside it. */
const usual = (name) => rows[name].answers;
const answerAsUsual = (name) => issuer.answerAs(rows[name]);

/** Answers `reply` for the token, and as usual to a first call. */
function replyWith(name, reply) {
  const answers = usual(name);
  issuer.answer = (asked) => (typeof answers === "function" && asked.path.startsWith("/login.microsoftonline.com/") ? answers(asked) : reply);
}

/** What was asked for the token itself. */
const last = () => issuer.taken().filter(({ path }) => !path.startsWith("/login.microsoftonline.com/")).at(-1);

/** A request without its times. */
const timeless = ({ method, path, query, headers, body }) =>
  JSON.stringify({ method, path, query, body, key: headers.authorization?.startsWith("HMAC") ? "" : headers.authorization }).replace(
    /\b\d{10,13}\b|\d{4}-\d\d-\d\dT[\d:.]+Z/g,
    "TIME",
  );

let users = 0;
const somebody = () => `user_${(users += 1)}`;

const preset = (name) => execFileSync(binary(), ["presets", name], { encoding: "utf8" });
const member = (text, name) => text.match(new RegExp(`^${name} = "(.*)"$`, "m"))?.[1];

for (const block of exchanges) {
  const { name } = block;
  const cache = member(preset(block.preset), "cache");

  promise(`${name}: a token is kept for ${{ never: "nobody", user: "its user", global: "everyone" }[cache]}`, async () => {
    answerAsUsual(name);
    const [one, other] = [somebody(), somebody()];
    const count = [];
    for (const user of [one, one, other]) {
      const { status, text } = await ask(block, user);
      assert.equal(status, 200, text);
      count.push(last() ? 1 : 0);
    }
    // A second user finds the vendor's first answer only where it is the same for all.
    assert.deepEqual(count, { never: [1, 1, 1], user: [1, 0, 1], global: [1, 0, 0] }[cache]);
  });

  promise(`${name}: the user's id comes from the session and from nowhere else`, async () => {
    answerAsUsual(name);
    const user = somebody();
    const fresh = { "cache-control": "no-cache" };
    await ask(block, user, { headers: fresh });
    const plain = last();
    const mallory = "mallory";
    const names = ["user", "user_id", "userId", "uid", "id", "sub", "identity", "customer", "client_reference_id", "client_ref", "end_user", "name"];
    const claimed = Object.fromEntries(names.map((name) => [name, mallory]));
    const headers = { ...fresh, "x-user-id": mallory, "x-auth-user": mallory, "x-forwarded-user": mallory, forwarded: `for=${mallory}` };
    const byQuery = await ask(block, user, { headers, query: claimed });
    assert.equal(byQuery.status, 200, byQuery.text);
    const tried = [last()];
    // A body counts as one only where inputs are read from it.
    const byBody = await ask(block, user, { headers, body: { ...requests[name], ...claimed, session: { user_id: mallory } } });
    if (byBody.status === 200) tried.push(last());
    for (const asked of tried) {
      assert.equal(timeless(asked), timeless(plain));
      assert.ok(!JSON.stringify(asked).includes(mallory), JSON.stringify(asked));
    }
    const whose = JSON.stringify([plain.path, plain.query, plain.body]);
    await ask(block, `${user}_twin`, { headers: fresh });
    const twin = last();
    if (whose.includes(user)) assert.ok(JSON.stringify([twin.path, twin.query, twin.body]).includes(`${user}_twin`));
  });

  promise(`${name}: the vendor's refusals reach the log without the key, and never the browser`, async () => {
    const words = "no such thing xyzzy";
    const keys = Object.values(secrets).filter((key) => block.text.includes(Object.keys(secrets).find((name) => secrets[name] === key)));
    const fresh = { headers: { "cache-control": "no-cache" } };
    for (const status of [400, 401, 403, 404, 409, 422]) {
      const message = `${words} ${status} for key ${keys[0] ?? "none"} and token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln`;
      replyWith(name, new Reply(status, JSON.stringify({ error: { message, code: "x" } })));
      const refused = await ask(block, somebody(), fresh);
      assert.deepEqual([refused.status, JSON.parse(refused.text).code], [502, "issuer_failed"], refused.text);
      assert.equal(refused.type, "application/problem+json");
      assert.ok(!refused.text.includes("xyzzy"), refused.text);
      assert.ok(gateway.output.includes(`the issuer answered ${status} and said: ${words} ${status}`), `${status} is in the log`);
    }
    // Six refusals in a row, each of another user, and the vendor is still asked.
    answerAsUsual(name);
    issuer.taken();
    assert.equal((await ask(block, somebody(), fresh)).status, 200);
    assert.ok(last());
    keys.forEach((key) => assert.ok(!gateway.output.includes(key)));
    assert.ok(!gateway.output.includes("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0"));
  });

  promise(`${name}: a token that comes with another status than success is given to nobody`, async () => {
    const answers = usual(name);
    const answer = typeof answers === "function" ? answers({ path: "/" }) : answers;
    const fresh = { headers: { "cache-control": "no-cache" } };
    for (const status of [300, 302, 307, 410, 500]) {
      replyWith(name, Reply.of(answer, status));
      const refused = await ask(block, somebody(), fresh);
      assert.deepEqual([refused.status, JSON.parse(refused.text).code], [502, "issuer_failed"], `${status}: ${refused.text}`);
      assert.ok(last(), `${status}: the vendor was asked`);
    }
    // What is refused is the status: the same answer is taken with the vendor's own.
    answerAsUsual(name);
    assert.equal((await ask(block, somebody(), fresh)).status, 200);
    issuer.taken();
  });

  promise(`${name}: an answer that holds no token names what is missing, and gives nobody one`, async () => {
    const wrong = [
      ["{}", "application/json"],
      ["[]", "application/json"],
      ["null", "application/json"],
      ["", "application/json"],
      ["<html>a page xyzzy</html>", "text/html"],
      ['{"token": 7, "data": {"token": null}, "name": [], "value": {}}', "application/json"],
      ['{"truncated": "xyzzy', "application/json"],
    ];
    const began = gateway.output.length;
    for (const [body, type] of wrong) {
      replyWith(name, new Reply(200, body, type));
      const refused = await ask(block, somebody(), { headers: { "cache-control": "no-cache" } });
      assert.deepEqual([refused.status, JSON.parse(refused.text).code], [502, "issuer_failed"], `${body}: ${refused.text}`);
      assert.ok(!refused.text.includes("xyzzy"), refused.text);
    }
    const said = gateway.output.slice(began);
    assert.ok(!said.includes("xyzzy"), "an answer that may hold a token is not repeated");
    assert.match(said, /`take\.token` expects|`answer\.[\w.]+` has no value|`answer = \\?"text\\?"` expects/);
    assert.match(said, /is not JSON|expects the issuer to answer with the bare token/);
  });
}

promise("the gateway stops when asked, and printed no key, cookie or token", () => gateway.stop());
