// The operator's page as somebody on call meets it: the questions of an operator, each answered by
// what the page says, reached with the keyboard alone, at 400 px, in light and dark.
//
// SCREENSHOTS=DIR keeps pictures of it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Gateway, binary } from "./harness.mjs";
import { openBrowser } from "./support/browser.mjs";
import { Child } from "./support/child.mjs";
import { NARROW, WIDE, inLooks, reach } from "./support/looks.mjs";

const SLOW = 240_000;

let demo, browser, context, page, board;
const complaints = [];
/** Hosts the dashboard asked. */
const asked = new Set();

before(async () => {
  demo = new Child(binary(), ["demo"]);
  const url = await demo.heard("where to open it", (line) => line.match(/http:\/\/127\.0\.0\.1:\d+\/(?=\s)/)?.[0]);
  ({ browser, context, page } = await openBrowser({ baseURL: url }));
  await page.goto("/");
  await page.getByTestId("login-name").fill("Ada Lovelace");
  await page.getByTestId("login-submit").click();
  await page.getByTestId("get-token").click();
  await page.locator('[data-testid="result-status"][data-status="200"]').waitFor();
  await page.getByTestId("burst").click();
  await page.getByTestId("burst-result").filter({ hasText: /served/ }).waitFor();
  assert.equal((await context.request.get("/api/get-auth-token", { headers: { cookie: "demo_session=x" } })).status(), 401);
  const opened = context.waitForEvent("page");
  await page.getByTestId("dashboard").click();
  board = await opened;
  board.on("pageerror", (error) => complaints.push(error.message));
  board.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  board.on("request", (request) => asked.add(new URL(request.url()).host));
  await board.reload();
}, { timeout: 240_000 });

after(async () => {
  demo?.kill();
  await browser?.close();
}, { timeout: 240_000 });

/** An operator's questions, each with the text of the page that answers it. */
const QUESTIONS = [];
const question = (...all) => QUESTIONS.push(all);

question("Does it serve?", "ready", /^ready$/);
question("Which version runs, and since when?", "program", /version \d+\.\d+\.\d+.*, up for \d+ (s|min)/);
question("How many requests are there?", "requests", /^\d+$/);
question("Who is refused, and why?", "refusals", /token\.portive.*too_many_requests/s);
question("What does the reason mean, and which command explains it?", "refusals", /the cookie is not a session.*portcullis session --cookie/s);
question("How many tokens are issued, and does the cache help?", "cache-ratio", /^\d+ % from the cache$/);
question("How slow is the app?", "latency-more", /p50 .* ms, p99 .* ms/);
question("Which server of the app is down?", "servers", /http:\/\/127\.0\.0\.1:\d+.*up/s);
question("Which key signs, and how old is it?", "keys", /portive.*\d+ (s|min)/s);
question("What is about to expire?", "records", /Certificates.*does not terminate TLS/s);
question("Did the last reload work?", "records", /Last reload.*none since the start/s);
question("Are the audit log and the revocations written?", "records", /Audit log.*off.*Revocations.*none in force/s);

for (const look of NARROW) {
  test(`an operator's questions are answered with the keyboard alone, ${look[0]}`, { timeout: SLOW }, async () => {
    await inLooks(board, [look], "dashboard", async () => {
      await board.reload();
      for (const [sentence, id, answer] of QUESTIONS) {
        const place = board.getByTestId(id).filter({ hasText: answer });
        await place.waitFor().catch(() => assert.fail(`${sentence} is not answered by ${id}`));
        await reach(board, place);
      }
    });
  });
}

test("Which vendor fails?", { timeout: SLOW }, async () => {
  const failing = await Gateway.start(`trusted_proxies = ["127.0.0.1"]\n[upstream]\nservers = ["http://127.0.0.1:1"]
[session]\nkind = "trusted-header"\nheader = "x-user"
[token.speech]\npath = "/api/speech"\nkind = "exchange"\nmethod = "POST"\nurl = "http://127.0.0.1:1/mint"
key = { secret = "env:VENDOR_KEY" }\nheaders = { authorization = "Bearer {key.secret}" }\nttl = "1m"
take = { token = "/token" }\nresponse = { token = "{token}" }\n`, { VENDOR_KEY: "only-for-this-test-0123456789abcdef" });
  const elsewhere = await context.newPage();
  try {
    assert.equal((await fetch(new URL("/api/speech", failing.url), { headers: { "x-user": "ada" } })).status, 502);
    await elsewhere.goto(failing.admin);
    await inLooks(elsewhere, NARROW, "dashboard-vendor", async () => {
      const place = elsewhere.getByTestId("keys").filter({ hasText: /speech.*1 of 1 calls failed/s });
      await reach(elsewhere, place);
    });
  } finally {
    await elsewhere.close();
    await failing.stop();
  }
});

test("the charts say in words what they show", { timeout: SLOW }, async () => {
  for (const [id, words] of [
    ["requests-chart", /token\.portive \d+/],
    ["refused-chart", /token\.portive \d+/],
    ["tokens-chart", /portive, cached \d+.*portive, minted 1/],
    ["limits-chart", /token\.portive \d+/],
    ["latency-chart", /p50 up to .* ms, p95 up to .* ms, p99 up to .* ms/],
  ]) {
    assert.match(await board.locator(`#${id} svg`).getAttribute("aria-label"), words, id);
  }
  await board.locator("#requests-chart svg").focus();
  await board.keyboard.press("ArrowLeft");
  assert.match(await board.locator("#requests-chart .said").textContent(), /^\d\d:\d\d: .*\d/);
});

test("a token shows up as it is issued, with the user's hash and not the name", { timeout: SLOW }, async () => {
  await board.locator("#live-state").filter({ hasText: /^connected$/ }).waitFor();
  while ((await page.request.get("/api/get-auth-token")).status() !== 200) await page.waitForTimeout(500);
  const line = board.getByTestId("live").locator("li").filter({ hasText: "issued" }).first();
  await line.waitFor();
  assert.doesNotMatch(await line.textContent(), /lovelace/i);
});

test("it is readable at 400 px, in light and dark, and nothing hangs over or moves", { timeout: SLOW }, async () => {
  await inLooks(board, [...WIDE, ...NARROW], "dashboard");
});

test("a revocation asks first, and is done by keyboard alone", { timeout: SLOW }, async () => {
  await board.getByTestId("revoke-user").focus();
  await board.keyboard.type("ada-lovelace");
  await board.keyboard.press("Enter");
  await board.getByTestId("confirm-no").waitFor();
  await board.keyboard.press("Escape");
  assert.equal((await page.request.get("/whoami")).status(), 200);
  assert.equal(await board.getByTestId("revoke-result").textContent(), "");
  await board.getByTestId("revoke-user").focus();
  await board.keyboard.press("Enter");
  await board.getByTestId("confirm-no").waitFor();
  await board.keyboard.press("Tab");
  await board.keyboard.press("Enter");
  await board.getByTestId("revoke-result").filter({ hasText: /^Revoked/ }).waitFor();
  assert.equal((await page.request.get("/api/get-auth-token")).status(), 401);
});

test("nothing went wrong in the browser, and nothing was asked of another host", () => {
  assert.deepEqual(complaints, []);
  assert.deepEqual([...asked], [new URL(board.url()).host]);
});
