// A Next.js team's upload page behind the gateway, used by a person in a browser: the app has neither the
// API key nor a token route, and nothing in the browser changes.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Gateway } from "./harness.mjs";
import { openBrowser } from "./support/browser.mjs";
import { NextApp } from "./support/next-app.mjs";
import { API_KEY, Origin, TOLERANCE, at, verify } from "./support/portive.mjs";
import { Relay } from "./support/relay.mjs";

const NEXTAUTH_SECRET = "interop-next-app-secret-0123456789";
const DAY = 24 * 60 * 60;

// Relays stand on both sides of the gateway and keep every byte: what the browser got, what the app got.
let browserSide, appSide, origin, gateway, app, browser, context, page;

before(async () => {
  await NextApp.build();
  [browserSide, appSide, origin] = await Promise.all([Relay.open(), Relay.open(), Origin.open()]);
  gateway = await Gateway.start(
    `
[upstream]
servers = ["${appSide.url}"]

[session]
kind = "next-auth"
secret = "env:NEXTAUTH_SECRET"

[token.portive]
path = "/api/get-auth-token"
preset = "portive"
key = "env:PORTIVE_API_KEY"
ttl = "1m"
limit = "30/minute"

[token.portive-page]
preset = "portive"
key = "env:PORTIVE_API_KEY"
ttl = "1d"

[[route]]
path = "/"
set_headers = { "X-Portive-Token" = "{token.portive-page}" }
`,
    { NEXTAUTH_SECRET, PORTIVE_API_KEY: API_KEY },
  );
  browserSide.leadTo(gateway.url);
  app = await NextApp.start({ NEXTAUTH_SECRET, NEXTAUTH_URL: browserSide.url, PORTIVE_ORIGIN: origin.url });
  appSide.leadTo(app.url);
  // Uncompressed, so that the bytes kept can be searched.
  const extraHTTPHeaders = { "Accept-Encoding": "identity" };
  ({ browser, context, page } = await openBrowser({ baseURL: browserSide.url, extraHTTPHeaders }));
}, { timeout: 360_000 });

after(async () => {
  [gateway, app].forEach((child) => child?.kill());
  [browserSide, appSide, origin].forEach((server) => server?.close());
  await browser?.close();
}, { timeout: 240_000 });

const promise = (sentence, work) => test(sentence, { timeout: 240_000 }, work);

promise("before anyone signs in, the page has no token and pressing upload tells the page 401", async () => {
  await page.goto("/");
  await shows("name", "nobody");
  await shows("page-token", "");
  await page.getByRole("button", { name: "Upload", exact: true }).click();
  await page.getByRole("status").filter({ hasText: "no token: 401" }).waitFor();
  assert.equal(origin.uploads.length, 0);
});

promise("a person signs in through the gateway with the app's own login page", async () => {
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByLabel("Email").fill("ada@example.com");
  await page.getByLabel("Password").fill("analytical engine");
  await page.getByRole("button", { name: /sign in with/i }).click();
  await shows("name", "Ada Lovelace");
  const cookies = await context.cookies();
  const session = cookies.find((cookie) => cookie.name === "next-auth.session-token");
  gateway.keepSecret(session.value);
});

promise("pressing upload fetches a token from the gateway and Portive takes the file", async () => {
  const answer = page.waitForResponse("**/api/get-auth-token");
  await page.getByRole("button", { name: "Upload", exact: true }).click();
  const { authToken } = await (await answer).json();
  await page.getByRole("status").filter({ hasText: "stored as" }).waitFor();
  const upload = origin.uploads.at(-1);
  assert.equal(upload.token, authToken);
  assert.equal(upload.claims.exp - upload.claims.iat, 60);
  assert.match(upload.stored, /hello/);
  gateway.keepSecret(authToken);
});

promise("the app renders its page with a one-day token it got in a request header", async () => {
  await page.goto("/");
  const token = await page.getByTestId("page-token").textContent();
  gateway.keepSecret(token);
  const { iat, exp } = verify(token);
  assert.equal(exp - iat, DAY);
  assert.throws(() => at(exp + TOLERANCE, () => verify(token)), /expired/);
  await page.getByRole("button", { name: "Upload with the page's token" }).click();
  await page.getByRole("status").filter({ hasText: "stored as" }).waitFor();
  assert.equal(origin.uploads.at(-1).token, token);
});

promise("a page token is kept for its user, not minted for every page", async () => {
  const mints = () => gateway.metric(`portcullis_mints_total{token="portive-page"}`);
  const before = await mints();
  assert.ok(before >= 1);
  await page.reload();
  await page.reload();
  assert.equal(await mints(), before);
});

promise("a page token that the browser makes up never reaches the app", async () => {
  const spellings = ["X-Portive-Token", "x-portive-token", "X_Portive_Token", "X-PORTIVE_TOKEN", "x.portive.token"];
  for (const [at, name] of spellings.entries()) {
    const shown = await page.evaluate(
      async ([name, forged]) => (await fetch("/", { headers: { [name]: forged } })).text(),
      [name, `forged-${at}-`],
    );
    assert.ok(!shown.includes("forged-"), `${name} was shown in the page`);
  }
  assert.match(browserSide.asked, /forged-4-/, "the browser did send them");
  assert.doesNotMatch(appSide.asked, /forged-/);
});

promise("after signing out the fetch is answered 401 and the page has no token", async () => {
  await page.getByRole("button", { name: "Sign out" }).click();
  await shows("name", "nobody");
  await shows("page-token", "");
  const status = await page.evaluate(async () => (await fetch("/api/get-auth-token")).status);
  assert.equal(status, 401);
  const shown = await page.evaluate(async () => {
    const headers = { "X-Portive-Token": "forged-signed-out" };
    return (await fetch("/", { headers })).text();
  });
  assert.ok(!shown.includes("forged-"));
  assert.doesNotMatch(appSide.asked, /forged-/);
});

promise("token requests are answered by the gateway and never reach the app", () => {
  assert.match(browserSide.asked, /^GET \/api\/get-auth-token /m);
  assert.doesNotMatch(appSide.asked, /get-auth-token/);
});

promise("the API key is in nothing the app knows and in no byte the browser received", async () => {
  const secretPart = API_KEY.split("_").at(-1);
  const places = {
    "the app's environment": await app.environment(),
    "what the app received": appSide.asked,
    "what the app sent": appSide.answered,
    "what the app printed": app.output,
    "what the browser received": browserSide.answered,
  };
  for (const [place, bytes] of Object.entries(places)) {
    assert.ok(!bytes.includes(secretPart), `the key is in ${place}`);
  }
  // The same search does find what is there.
  assert.ok(places["the app's environment"].includes(NEXTAUTH_SECRET));
  assert.ok(places["what the app received"].includes("GET / HTTP/1.1"));
  assert.ok(places["what the browser received"].includes(origin.uploads.at(-1).token));
  assert.doesNotMatch(browserSide.answered, /^content-encoding:/im, "nothing is hidden by compression");
});

promise("the gateway stops when asked, and printed no key, cookie or token", () => gateway.stop());

async function shows(id, text) {
  const element = page.getByTestId(id);
  if (text === "") {
    await element.waitFor({ state: "attached" });
    assert.equal(await element.textContent(), "");
  } else {
    await element.filter({ hasText: text }).waitFor();
  }
}
