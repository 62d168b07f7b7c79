// Tokens minted by the gateway, judged by Portive's own libraries; sessions made by next-auth's own code.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { Gateway } from "./harness.mjs";
import { API_KEY, Client, Origin, TOLERANCE, at, createAuthToken, verify } from "./support/portive.mjs";
import { atOnce } from "./support/requests.mjs";
import { NEXTAUTH_SECRET, cookieOf } from "./support/session.mjs";

const PER_MINUTE = 30;
const REFILL = 60_000 / PER_MINUTE;

let app, gateway, origin;
const reachedApp = [];

before(async () => {
  app = createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
    reachedApp.push(request.url);
    response.end("the app");
  }).listen(0, "127.0.0.1");
  await once(app, "listening");
  origin = await Origin.open();
  gateway = await Gateway.start(
    `
[upstream]
servers = ["http://127.0.0.1:${app.address().port}"]

[session]
kind = "next-auth"
secret = "env:NEXTAUTH_SECRET"

[token.portive]
path = "/api/get-auth-token"
preset = "portive"
key = "env:PORTIVE_API_KEY"
ttl = "1m"
limit = "${PER_MINUTE}/minute"

[token.tagged]
path = "/api/tagged-token"
preset = "portive"
key = "env:PORTIVE_API_KEY"
ttl = "1h"
limit = "100000/minute"
params.claims = { tags = ["user-{session.user_id}", "uploads"], maxFileBytes = 1000000 }
`,
    { NEXTAUTH_SECRET, PORTIVE_API_KEY: API_KEY },
  );
}, { timeout: 240_000 });

after(() => {
  gateway?.kill();
  [app, origin].forEach((server) => server?.close());
});

const promise = (sentence, work) => test(sentence, { timeout: 240_000 }, work);

for (const method of ["GET", "POST"]) {
  promise(`Portive's verifier accepts a token fetched with ${method}`, async () => {
    const { response, authToken } = await mint(await signedIn(`user-${method}`), { method });
    assert.equal(response.headers.get("cache-control"), "no-store");
    assert.match(response.headers.get("vary"), /\bcookie\b/i);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    for (const absent of ["etag", "set-cookie", "location"]) assert.equal(response.headers.get(absent), null);
    const { iat, exp, ...others } = verify(authToken);
    assert.equal(exp - iat, 60);
    assert.deepEqual(others, {}, "nothing is added to the token");
  });
}

promise("a token says what one made by @portive/auth in the same second says", async () => {
  const { authToken } = await mint(await signedIn("twin"));
  const { iat } = verify(authToken);
  const twin = at(iat, () => createAuthToken(API_KEY, { expiresIn: "1m" }));
  assert.deepEqual(parts(authToken), parts(twin));
});

promise("Portive's verifier accepts tags and limits taken from the session", async () => {
  const { authToken } = await mint(await signedIn("ada"), { path: "/api/tagged-token" });
  const { iat, exp, ...others } = verify(authToken);
  assert.equal(exp - iat, 3600);
  assert.deepEqual(others, { tags: ["user-ada", "uploads"], maxFileBytes: 1_000_000 });
});

promise("a token never outlives the session it was asked with, minted or kept", async () => {
  const path = "/api/tagged-token";
  const claimsFor = async (user, maxAge) => {
    const cookie = await signedIn(user, { maxAge });
    const sessionEnds = Math.floor(Date.now() / 1000) + maxAge;
    const { exp } = verify((await mint(cookie, { path })).authToken);
    return { exp, sessionEnds };
  };
  const minted = await claimsFor("brief", 30);
  assert.ok(minted.exp <= minted.sessionEnds, "a minted token");
  await claimsFor("leaver", 24 * 3600);
  const kept = await claimsFor("leaver", 30);
  assert.ok(kept.exp <= kept.sessionEnds, "a token kept from a longer session of the same user");
});

promise("Portive's verifier refuses a token that was altered or has expired", async () => {
  const { authToken } = await mint(await signedIn("mallory"), { path: "/api/tagged-token" });
  const [header, payload, signature] = authToken.split(".");
  const claims = JSON.parse(Buffer.from(payload, "base64url"));
  const more = Buffer.from(JSON.stringify({ ...claims, maxFileBytes: 1e12 })).toString("base64url");
  assert.throws(() => verify([header, more, signature].join(".")), /signature/);
  const other = signature.replace(/^./, (first) => (first === "A" ? "B" : "A"));
  assert.throws(() => verify([header, payload, other].join(".")), /signature/);
  assert.throws(() => verify(authToken, `${API_KEY}x`), /signature/);
  assert.doesNotThrow(() => at(claims.exp + TOLERANCE - 1, () => verify(authToken)));
  assert.throws(() => at(claims.exp + TOLERANCE, () => verify(authToken)), /expired/);
});

promise("Portive's client posts with tokens it fetches from the gateway", async () => {
  const cookie = await signedIn("uploader");
  const client = new Client({
    apiOrigin: origin.url,
    authToken: async () => (await mint(cookie)).authToken,
  });
  for (const filename of ["one.txt", "two.txt"]) {
    const clientFileInfo = { type: "generic", filename, contentType: "text/plain", bytes: 5 };
    const answer = await client.post("/api/v1/upload", { clientFileInfo });
    assert.equal(answer.status, "success");
  }
  assert.deepEqual(origin.uploads.map((upload) => upload.filename), ["one.txt", "two.txt"]);
});

promise("without a session cookie the answer is 401 not_signed_in", async () => {
  const response = await ask({});
  await refused(response, 401, "not_signed_in");
  assert.match(response.headers.get("www-authenticate"), /^Cookie\b.*next-auth\.session-token/i);
});

promise("an expired session cookie is told apart with session_expired", async () => {
  await refused(await ask({ cookie: await signedIn("late", { maxAge: -3600 }) }), 401, "session_expired");
});

promise("a cookie of another app, a cut one and an invented one are no session", async () => {
  const foreign = await signedIn("eve", { secret: "the-secret-of-another-app-0123456789" });
  const cut = (await signedIn("eve")).slice(0, -7);
  for (const cookie of [foreign, cut, "next-auth.session-token=x", "next-auth.session-token="]) {
    await refused(await ask({ cookie, Accept: "text/html" }), 401, "not_signed_in");
  }
});

promise("a page of another site gets no token", async () => {
  const cookie = await signedIn("visitor");
  await refused(await ask({ cookie, Origin: "https://evil.example" }), 403, "cross_site");
  await refused(await ask({ cookie, "Sec-Fetch-Site": "cross-site" }), 403, "cross_site");
});

promise("HEAD is answered like GET, without a body and without minting", async () => {
  const mints = () => gateway.metric(`portcullis_mints_total{token="portive"}`);
  const before = await mints();
  const response = await ask({ cookie: await signedIn("curious") }, { method: "HEAD" });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("cache-control"), "no-store");
  assert.match(response.headers.get("ratelimit"), /^"portive";r=\d+;t=\d+$/);
  assert.equal(await response.text(), "");
  assert.equal(await mints(), before);
});

promise("a method other than GET, HEAD and POST is answered 405 with the methods there are", async () => {
  const response = await fetch(gateway.url + "/api/get-auth-token", { method: "DELETE" });
  await refused(response, 405, "method_not_allowed");
  assert.match(response.headers.get("allow"), /GET.*POST/);
});

promise("a user who asks too often waits as long as Retry-After says, others do not", async () => {
  const cookie = await signedIn("eager");
  const started = performance.now();
  let admitted = 0;
  let response;
  do {
    response = await ask({ cookie });
    if (response.status === 200) admitted += 1;
  } while (response.status === 200 && admitted < 10 * PER_MINUTE);
  assert.ok(admitted >= PER_MINUTE && admitted <= mostAdmitted(performance.now() - started), `admitted ${admitted}`);
  await refused(response, 429, "too_many_requests");
  const wait = response.headers.get("retry-after");
  assert.match(wait, /^[12]$/);
  assert.equal(response.headers.get("ratelimit-policy"), `"portive";q=${PER_MINUTE};w=60`);
  assert.match(response.headers.get("ratelimit"), /^"portive";r=0;t=\d+$/);

  assert.equal((await ask({ cookie: await signedIn("patient") })).status, 200);
  await new Promise((resolve) => setTimeout(resolve, wait * 1000));
  assert.equal((await ask({ cookie })).status, 200);
});

promise("a second session of the same user does not bring a second allowance", async () => {
  const cookies = [await signedIn("twice"), await signedIn("twice")];
  const started = performance.now();
  const statuses = [];
  for (let count = 0; count < 2 * PER_MINUTE; count += 1) {
    statuses.push((await ask({ cookie: cookies[count % 2] })).status);
  }
  const admitted = statuses.filter((status) => status === 200).length;
  assert.ok(admitted >= PER_MINUTE && admitted <= mostAdmitted(performance.now() - started), `admitted ${admitted}`);
});

promise("1,000 requests at once against 30/minute get exactly 30 answers and what time refills", async () => {
  const cookie = await signedIn("crowd");
  const started = performance.now();
  const answers = await atOnce(1000, gateway.url + "/api/get-auth-token", { cookie });
  const elapsed = performance.now() - started;
  const admitted = answers.filter((answer) => answer.status === 200).length;
  const turnedAway = answers.filter((answer) => answer.status === 429);
  assert.equal(admitted + turnedAway.length, 1000);
  assert.ok(admitted >= PER_MINUTE, `only ${admitted} were admitted`);
  assert.ok(admitted <= mostAdmitted(elapsed), `${admitted} were admitted within ${elapsed} ms`);
  for (const answer of turnedAway) assert.match(answer.headers["retry-after"], /^[1-9]\d*$/);
});

promise("1,000 first requests of one user at once get one token, minted once", async () => {
  const mints = () => gateway.metric(`portcullis_mints_total{token="tagged"}`);
  const before = await mints();
  const cookie = await signedIn("first");
  const answers = await atOnce(1000, gateway.url + "/api/tagged-token", { cookie });
  const bodies = new Set(answers.map((answer) => `${answer.status} ${answer.body}`));
  assert.equal(bodies.size, 1, `${bodies.size} different answers`);
  const { authToken } = JSON.parse(answers[0].body);
  gateway.keepSecret(authToken);
  assert.deepEqual(verify(authToken).tags, ["user-first", "uploads"]);
  assert.equal(await mints(), before + 1);
});

promise("everything else is the app's, and no token request is", async () => {
  const response = await fetch(gateway.url + "/api/get-auth-token/other");
  assert.equal(await response.text(), "the app");
  assert.deepEqual(reachedApp, ["/api/get-auth-token/other"]);
});

promise("the gateway stops when asked, and printed no key, cookie or token", () => gateway.stop());

function ask(headers, { method = "GET", path = "/api/get-auth-token" } = {}) {
  return fetch(gateway.url + path, { method, headers, redirect: "manual" });
}

async function signedIn(user, options) {
  const cookie = await cookieOf(user, options);
  gateway.keepSecret(cookie.slice(cookie.indexOf("=") + 1));
  return cookie;
}

async function mint(cookie, options) {
  const response = await ask({ cookie }, options);
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type"), /^application\/json\b/);
  const body = await response.json();
  assert.deepEqual(Object.keys(body), ["authToken"]);
  gateway.keepSecret(body.authToken);
  return { response, authToken: body.authToken };
}

async function refused(response, status, code) {
  assert.equal(response.status, status);
  assert.match(response.headers.get("content-type"), /^application\/problem\+json\b/);
  assert.equal(response.headers.get("cache-control"), "no-store");
  const problem = await response.json();
  assert.deepEqual(Object.keys(problem).sort(), ["code", "detail", "status", "title", "type"]);
  assert.equal(problem.status, status);
  assert.equal(problem.code, code);
}

/** All that a limit lets through in a time: its burst, and one for each refill that fits. */
function mostAdmitted(elapsed) {
  return PER_MINUTE + Math.floor(elapsed / REFILL);
}

/** Header and claims as Portive reads them, without regard to the order of members. */
function parts(token) {
  return token.split(".").slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url")));
}
