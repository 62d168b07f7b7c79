// `portcullis demo` as a newcomer meets it: one command, a link, a page that explains itself.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { binary } from "./harness.mjs";
import { openBrowser } from "./support/browser.mjs";
import { Child } from "./support/child.mjs";
import { NARROW, WIDE, inLooks } from "./support/looks.mjs";

const PER_MINUTE = 30;
const REFILL = 60_000 / PER_MINUTE;
const BURST = 40;

let demo, url, browser, context, page;
let firstAsked, token, session;
const answered = { 200: 0, 401: 0, 429: 0 };
const complaints = [];

before(async () => {
  demo = new Child(binary(), ["demo"]);
  url = await demo.heard("where to open it", (line) => line.match(/http:\/\/127\.0\.0\.1:\d+\/(?=\s)/)?.[0]);
  assert.equal((await fetch(url)).status, 200, "whoever reads the address may open it at once");
  ({ browser, context, page } = await openBrowser({ baseURL: url }));
  page.on("response", (response) => {
    if (response.url().endsWith("/api/get-auth-token")) answered[response.status()] += 1;
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    // The browser reports every 401 and 429 as an error of its own; those are wanted here.
    if (message.type() === "error" && !/status of (401|429)/.test(message.text())) complaints.push(message.text());
  });
}, { timeout: 240_000 });

after(async () => {
  demo?.kill();
  await browser?.close();
}, { timeout: 240_000 });

const promise = (sentence, work) => test(sentence, { timeout: 240_000 }, work);

promise("the door is readable at 400 px, in light and dark, and nothing hangs over or moves", async () => {
  await page.goto("/");
  await inLooks(page, [...WIDE, ...NARROW], "demo-door");
});

promise("a visitor signs in with any name", async () => {
  await page.goto("/");
  await part("login-name").fill("Ada Lovelace");
  await part("login-submit").click();
  await part("signed-in-user").filter({ hasText: "Ada Lovelace" }).waitFor();
  session = (await context.cookies()).find((cookie) => cookie.name === "demo_session");
  assert.ok(session.httpOnly, "scripts cannot read the session");
});

promise("the page fetches a token and shows its claims, its remaining life and the allowance", async () => {
  firstAsked = performance.now();
  token = await tokenFrom("get-token");
  const claims = JSON.parse(await part("token-claims").textContent());
  assert.equal(claims.exp - claims.iat, 60);
  assert.deepEqual(claims.tags, ["user:ada-lovelace"]);
  const header = JSON.parse(await part("token-header").textContent());
  assert.deepEqual({ ...header, kid: typeof header.kid }, { alg: "HS256", typ: "JWT", kid: "string" });
  assert.match(await part("token-life").textContent(), /^(60|5\d) s of 60 s$/);
  assert.equal(await part("rate-remaining").textContent(), String(PER_MINUTE - 1));
  assert.equal(await part("rate-limit").textContent(), String(PER_MINUTE));
});

promise("asking again brings the same token while it is young, and a new one on demand", async () => {
  assert.equal(await tokenFrom("get-token"), token);
  await page.locator('[data-testid="same-token"][data-same="same"]').waitFor();
  // A token made in the same second would read the same.
  await page.waitForFunction((iat) => Date.now() / 1000 >= iat + 1, claimsOf(token).iat);
  assert.notEqual(await tokenFrom("fresh-token"), token);
  await page.locator('[data-testid="same-token"][data-same="new"]').waitFor();
});

promise("40 requests at once use up the allowance, and the page counts the answers", async () => {
  const before = { ...answered };
  await part("burst").click();
  await part("burst-result").filter({ hasText: /served/ }).waitFor();
  const admitted = answered[200];
  const most = PER_MINUTE + Math.floor((performance.now() - firstAsked) / REFILL);
  assert.ok(admitted >= PER_MINUTE && admitted <= most, `${admitted} were admitted`);
  const counts = { 200: admitted - before[200], 429: answered[429] };
  assert.equal(counts[200] + counts[429], BURST);
  for (const code of [200, 429]) {
    const badge = part("burst-result").locator(`[data-status="${code}"]`);
    assert.equal(await badge.textContent(), `${counts[code]} × ${code}`);
  }
});

promise("once the allowance is used up, the page shows how long to wait", async () => {
  // One may have come back since: ask until refused.
  while ((await answerTo("get-token")).status() === 200);
  await part("retry-after").filter({ hasText: /try again in [12] s/ }).waitFor();
});

promise("a header that claims another user does not reach the app", async () => {
  await part("spoof").click();
  await part("spoof-result").filter({ hasText: "The app sees ada-lovelace" }).waitFor();
  assert.match(await part("whoami").textContent(), /"X-Auth-User": "ada-lovelace"/);
});

promise("the page with its results is readable at 400 px, in light and dark", async () => {
  await inLooks(page, [...WIDE, ...NARROW], "demo");
});

promise("after signing out in another tab, the page still open gets no token", async () => {
  const tab = await context.newPage();
  await tab.goto("/");
  await tab.getByTestId("logout").click();
  await tab.getByTestId("login-name").waitFor();
  assert.equal((await answerTo("get-token")).status(), 401);
  await page.goto("/");
  await part("login-name").waitFor();
});

promise("nothing went wrong in the browser", () => assert.deepEqual(complaints, []));

promise("the demo stops when asked, and printed no key, cookie or token", async () => {
  assert.deepEqual(await demo.stop(), { code: 0, signal: null }, demo.output);
  assert.doesNotMatch(demo.output, /PRTV_/);
  for (const secret of [token, session.value]) {
    assert.ok(!demo.output.includes(secret.split(".").at(-1)), "a cookie or token was printed");
  }
});

function part(id) {
  return page.getByTestId(id);
}

function status(code) {
  return page.locator(`[data-testid="result-status"][data-status="${code}"]`).waitFor();
}

/** Presses a button and gives the gateway's answer, once the page shows it. */
async function answerTo(button) {
  const answer = page.waitForResponse("**/api/get-auth-token");
  await part(button).click();
  const response = await answer;
  await status(response.status());
  return response;
}

async function tokenFrom(button) {
  return (await (await answerTo(button)).json()).authToken;
}

function claimsOf(token) {
  return JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
}
