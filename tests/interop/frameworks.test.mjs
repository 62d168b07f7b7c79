// Real apps of many frameworks behind the gateway, each with its framework's default session: a person signs in
// with the app's own form, gets a token in her name, signs out, and her old cookie is worth nothing.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { table } from "./apps/table.mjs";
import { openBrowser } from "./support/browser.mjs";
import { FrameworkApp } from "./support/framework-app.mjs";
import { verify } from "./support/portive.mjs";

const TOKEN = "/api/get-auth-token";
/** `cache_seconds` is 5 by default: for so long a sign-out in the store may go unnoticed. */
const NOTICED = 8_000;

let browser;
before(async () => ({ browser } = await openBrowser()), { timeout: 90_000 });
after(() => browser?.close(), { timeout: 60_000 });

// One app alone: APP=rails node --test frameworks.test.mjs
for (const row of table.filter(({ folder }) => folder.endsWith(process.env.APP ?? ""))) {
  describe(row.title, () => scenario(row));
}

function scenario(row) {
  const promise = (sentence, work) => test(sentence, { timeout: 60_000 }, work);
  let app, ada, bob, hers, his, hersElsewhere;
  const old = [];

  before(async () => {
    app = await FrameworkApp.start(row);
    [ada, bob] = app.people;
    [hers, his, hersElsewhere] = await Promise.all([0, 1, 2].map(() => Visitor.arrive(app, row)));
  }, { timeout: 180_000 });
  after(() => app?.close(), { timeout: 60_000 });

  promise("before signing in there is no token, and the app is told of nobody", async () => {
    await refused(await ask(app, null), row.cookie);
    const forged = await (await fetch(`${app.url}/whoami`, { headers: { "X-Auth-User": ada.id } })).json();
    assert.deepEqual(forged, { user: null, header: null });
    await hers.opensSignIn();
    const cookie = await hers.cookie();
    await refused(await ask(app, cookie), row.cookie);
    old.push(cookie);
  });

  promise("after signing in with the app's own form, a token names the user", async () => {
    await hers.signsIn(ada);
    assert.deepEqual(await hers.token(), { status: 200, tags: [`user:${ada.id}`] });
    const claims = await ask(app, await hers.cookie());
    assert.equal(claims.status, 200, "the cookies alone are enough");
    await his.opensSignIn();
    await his.signsIn(bob);
    assert.deepEqual(await his.token(), { status: 200, tags: [`user:${bob.id}`] });
  });

  promise("the app sees its own session, and the user in the identity header", async () => {
    for (const [visitor, person] of [[hers, ada], [his, bob]]) {
      assert.deepEqual(await visitor.whoami(), { user: person.username, header: person.id });
    }
  });

  promise("the cookie of the visit before signing in is still nobody's", async () => {
    for (const cookie of old) await refused(await ask(app, cookie), row.cookie);
  });

  promise("an altered cookie is nobody's", async () => {
    const cookies = await hers.sessionCookies();
    const altered = (change) => joined(cookies.map(({ name, value }) => ({ name, value: change(value) })));
    const middle = (value) => Math.floor(value.length / 2);
    const changes = [
      () => "",
      () => "x",
      (value) => value.slice(1),
      (value) => value.slice(0, middle(value)),
      (value) => other(value[0]) + value.slice(1),
      (value) => value.slice(0, middle(value)) + other(value[middle(value)]) + value.slice(middle(value) + 1),
    ];
    for (const change of changes) await refused(await ask(app, altered(change)), row.cookie);
    assert.equal((await ask(app, altered((value) => value))).status, 200);
  });

  promise("`portcullis session` names the user, and with another secret refuses", async () => {
    const cookie = joined(await hers.sessionCookies());
    const seen = await app.explain(cookie);
    assert.deepEqual([seen.code, seen.outcome, seen.user_id], [0, "accept", ada.id], seen.detail);
    const foreign = await app.explainWithForeignSecrets(cookie);
    assert.deepEqual([foreign.code, foreign.outcome, foreign.reason], [1, "reject", "bad_signature"], foreign.detail);
  });

  promise("after signing out there is no token, not even for the old cookie", async () => {
    const cookie = await hers.cookie();
    await nextSecond();
    await hersElsewhere.opensSignIn();
    await hersElsewhere.signsIn(ada);
    await hers.signsOut();
    old.push(cookie);
    if (row.signOut === "in the store") await eventually(async () => (await ask(app, cookie)).status === 401);
    await refused(await ask(app, cookie), row.cookie);
    assert.equal((await hers.token()).status, 401);
    assert.deepEqual(await hers.whoami(), { user: null, header: null });
  });

  promise("others stay signed in, and so does the same user elsewhere", async () => {
    assert.deepEqual(await his.token(), { status: 200, tags: [`user:${bob.id}`] });
    assert.deepEqual(await hersElsewhere.token(), { status: 200, tags: [`user:${ada.id}`] });
  });

  promise("signing in again brings tokens again, and the old cookie stays worthless", async () => {
    await nextSecond();
    await hers.opensSignIn();
    await hers.signsIn(ada);
    assert.deepEqual(await hers.token(), { status: 200, tags: [`user:${ada.id}`] });
    for (const cookie of old) await refused(await ask(app, cookie), row.cookie);
    await hers.signsOut();
    await eventually(async () => (await hers.token()).status === 401);
  });

  promise("token requests never reach the app, and the gateway printed no secret", async () => {
    assert.match(app.asked, /^GET \/whoami /m);
    assert.ok(!app.asked.includes(TOKEN));
    await app.gateway.stop();
  });
}

/** A person at a browser of her own. */
class Visitor {
  static async arrive(app, row) {
    const visitor = new Visitor();
    const context = await browser.newContext({ baseURL: app.url });
    context.setDefaultTimeout(20_000);
    return Object.assign(visitor, { app, row, context, page: await context.newPage() });
  }

  /** The `Cookie` header this browser sends; null if it has none. */
  async cookie() {
    const cookies = await this.context.cookies();
    return cookies.length > 0 ? joined(cookies) : null;
  }

  async sessionCookies() {
    const names = [this.row.cookie, ...this.row.companions];
    const cookies = (await this.context.cookies()).filter(({ name }) => names.includes(name));
    assert.deepEqual(cookies.map(({ name }) => name).sort(), names.sort(), "the cookies the app sets");
    // The number of a cookie's parts is no secret.
    const secrets = cookies.map(({ value }) => value).filter((value) => value.length > 20);
    this.app.gateway.keepSecret(...secrets);
    return cookies;
  }

  async opensSignIn() {
    await this.page.goto("/login");
  }

  async signsIn({ username, email, password }) {
    await this.page.getByLabel(/user ?name|e-?mail/i).fill(email ?? username);
    await this.page.getByLabel("Password").fill(password);
    await this.page.getByRole("button", { name: "Sign in" }).click();
    await this.page.getByText(`Signed in as ${username}`).waitFor();
    await this.sessionCookies();
  }

  async signsOut() {
    await this.page.goto("/");
    await this.page.getByRole("button", { name: "Sign out" }).click();
    await this.page.getByRole("button", { name: "Sign in" }).waitFor();
  }

  /** What a script of the page gets. */
  async token() {
    const { status, body } = await this.page.evaluate(async (path) => {
      const response = await fetch(path, { method: "POST" });
      return { status: response.status, body: await response.json() };
    }, TOKEN);
    if (status !== 200) return { status };
    this.app.gateway.keepSecret(body.authToken);
    return { status, tags: verify(body.authToken).tags };
  }

  whoami() {
    return this.page.evaluate(async () => (await fetch("/whoami")).json());
  }
}

function ask(app, cookie) {
  return fetch(app.url + TOKEN, { headers: cookie === null ? {} : { cookie } });
}

async function refused(response, cookie) {
  assert.equal(response.status, 401);
  assert.equal((await response.json()).code, "not_signed_in");
  assert.ok(response.headers.get("www-authenticate").includes(cookie), response.headers.get("www-authenticate"));
}

function joined(cookies) {
  return cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
}

function other(letter) {
  return letter === "A" ? "B" : "A";
}

/** Sessions made in the same second are the same session to some frameworks. */
async function nextSecond() {
  const now = Math.floor(Date.now() / 1000);
  while (Math.floor(Date.now() / 1000) === now) await pause(20);
}

async function eventually(holds) {
  const until = Date.now() + NOTICED;
  while (!(await holds())) {
    assert.ok(Date.now() < until, `not within ${NOTICED} ms`);
    await pause(100);
  }
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
