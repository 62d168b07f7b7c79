// A Next.js team's upload page whose own server rewrites the tokens' path to the gateway, used by a person in a browser. The
// pages are those of `next-app`, unchanged; only the block of the guide is added.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { blocks } from "./fronts/table.mjs";
import { Gateway } from "./harness.mjs";
import { openBrowser } from "./support/browser.mjs";
import { NextApp } from "./support/next-app.mjs";
import { API_KEY, Origin } from "./support/portive.mjs";
import { freePort } from "./support/ports.mjs";

const NEXTAUTH_SECRET = "interop-rewritten-app-secret-0123456789";
const at = (path) => fileURLToPath(new URL(path, import.meta.url));

let folder, origin, gateway, app, url, browser, page;

before(async () => {
  origin = await Origin.open();
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  gateway = await Gateway.start(
    `public_origin = "${url}"

[session]
kind = "next-auth"
secret = "env:NEXTAUTH_SECRET"

[token.portive]
path = "/api/get-auth-token"
preset = "portive"
key = "env:PORTIVE_API_KEY"
ttl = "1m"
limit = "30/minute"
`,
    { NEXTAUTH_SECRET, PORTIVE_API_KEY: API_KEY },
  );
  folder = mkdtempSync(join(tmpdir(), "portcullis-rewritten-"));
  cpSync(at("next-app/pages"), join(folder, "pages"), { recursive: true });
  cpSync(at("next-app/package.json"), join(folder, "package.json"));
  symlinkSync(at("node_modules"), join(folder, "node_modules"));
  const [block] = blocks("rewrites", "js");
  writeFileSync(join(folder, "next.config.js"), `module.exports = {\n${block.replace("http://127.0.0.1:8080", gateway.url)}};\n`);
  await NextApp.build(folder);
  const env = { NEXTAUTH_SECRET, NEXTAUTH_URL: url, PORTIVE_ORIGIN: origin.url };
  app = await NextApp.start(env, { folder, port });
  ({ browser, page } = await openBrowser({ baseURL: url }));
}, { timeout: 360_000 });

after(async () => {
  [app, gateway].forEach((child) => child?.kill());
  origin?.close();
  await browser?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
}, { timeout: 240_000 });

const promise = (sentence, work) => test(sentence, { timeout: 240_000 }, work);
const shows = (text) => page.getByTestId("name").filter({ hasText: text }).waitFor();
const upload = () => page.getByRole("button", { name: "Upload", exact: true }).click();
const says = (text) => page.getByRole("status").filter({ hasText: text }).waitFor();

promise("before anyone signs in, pressing upload tells the page 401", async () => {
  await page.goto("/");
  await shows("nobody");
  await upload();
  await says("no token: 401");
  assert.equal(origin.uploads.length, 0);
});

promise("a person who signs in uploads with a token of the gateway", async () => {
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByLabel("Email").fill("ada@example.com");
  await page.getByLabel("Password").fill("analytical engine");
  await page.getByRole("button", { name: /sign in with/i }).click();
  await shows("Ada Lovelace");
  const answer = page.waitForResponse("**/api/get-auth-token");
  await upload();
  const { authToken } = await (await answer).json();
  gateway.keepSecret(authToken);
  await says("stored as");
  const { token, claims, stored } = origin.uploads.at(-1);
  assert.equal(token, authToken);
  assert.equal(claims.exp - claims.iat, 60);
  assert.match(stored, /hello/);
});

promise("after signing out, pressing upload tells the page 401 again", async () => {
  const before = origin.uploads.length;
  await page.getByRole("button", { name: "Sign out" }).click();
  await shows("nobody");
  await upload();
  await says("no token: 401");
  assert.equal(origin.uploads.length, before);
});

promise("the app knows no key of Portive's, and the gateway printed no secret", async () => {
  const secretPart = API_KEY.split("_").at(-1);
  assert.ok(!(await app.environment()).includes(secretPart));
  assert.ok(!app.output.includes(secretPart));
  await gateway.stop();
});
