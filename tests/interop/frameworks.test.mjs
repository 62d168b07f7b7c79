// Real apps of many frameworks behind the gateway, each with its framework's default session: a person signs in
// with the app's own form, gets a token in her name, signs out, and her old session is worth nothing. Nor is one that
// has rested for too long, or that the operator revoked.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { table } from "./apps/table.mjs";
import { openBrowser } from "./support/browser.mjs";
import { FrameworkApp } from "./support/framework-app.mjs";
import { carried, TOKEN, Visitor } from "./support/visitor.mjs";

/** `cache_seconds` is 5 by default: for so long a sign-out in the store may go unnoticed. */
const NOTICED = 30_000;
/** Seconds that the test itself may take between the start of a session and a look at its end. */
const MARGIN = 90;

let browser;
before(async () => ({ browser } = await openBrowser()), { timeout: 240_000 });
after(() => browser?.close(), { timeout: 240_000 });

// One app alone: APP=rails node --test frameworks.test.mjs
for (const row of table.filter(({ folder }) => folder.endsWith(process.env.APP ?? ""))) {
  describe(row.title, () => scenario(row));
}

function scenario(row) {
  const promise = (sentence, work) => test(sentence, { timeout: 240_000 }, work);
  const promiseIf = (holds, sentence, work) => holds && promise(sentence, work);
  let app, ada, bob, hers, his, hersElsewhere;
  const old = [];

  before(async () => {
    app = await FrameworkApp.start(row);
    [ada, bob] = app.people;
    [hers, his, hersElsewhere] = await Promise.all([0, 1, 2].map(() => Visitor.arrive(browser, app, row)));
  }, { timeout: 180_000 });
  after(() => app?.close(), { timeout: 240_000 });

  promise("before signing in there is no token, and the app is told of nobody", async () => {
    await refused(await ask(app, {}), row);
    const forged = await (await fetch(`${app.url}/whoami`, { headers: { "X-Auth-User": ada.id } })).json();
    assert.deepEqual(forged, { user: null, header: null });
    await hers.opensSignIn();
    const credentials = await hers.credentials();
    await refused(await ask(app, credentials), row);
    old.push(credentials);
  });

  promise("after signing in with the app's own form, a token names the user", async () => {
    await hers.signsIn(ada);
    assert.deepEqual(await hers.token(), { status: 200, tags: [`user:${ada.id}`] });
    const claims = await ask(app, await hers.credentials());
    assert.equal(claims.status, 200, "the session alone is enough");
    await his.opensSignIn();
    await his.signsIn(bob);
    assert.deepEqual(await his.token(), { status: 200, tags: [`user:${bob.id}`] });
  });

  promise("the app sees its own session, and the user in the identity header", async () => {
    for (const [visitor, person] of [[hers, ada], [his, bob]]) {
      assert.deepEqual(await visitor.whoami(), { user: person.username, header: person.id });
    }
  });

  promise("the session of the visit before signing in is still nobody's", async () => {
    for (const credentials of old) await refused(await ask(app, credentials), row);
  });

  promise("an altered session is nobody's", async () => {
    const parts = await hers.session();
    const altered = (change) => carried(row, parts.map(({ name, value }) => ({ name, value: change(value) })));
    const middle = (value) => Math.floor(value.length / 2);
    const changes = [
      () => "",
      () => "x",
      (value) => value.slice(1),
      (value) => value.slice(0, middle(value)),
      (value) => other(value[0]) + value.slice(1),
      (value) => value.slice(0, middle(value)) + other(value[middle(value)]) + value.slice(middle(value) + 1),
    ];
    for (const change of changes) await refused(await ask(app, altered(change)), row);
    assert.equal((await ask(app, altered((value) => value))).status, 200);
  });

  promiseIf(row.cookie, "`portcullis session` names the user", async () => {
    const { cookie } = carried(row, await hers.session());
    const seen = await app.explain(cookie);
    assert.deepEqual([seen.code, seen.outcome, seen.user_id], [0, "accept", ada.id], seen.detail);
  });

  promiseIf(row.foreign, "with another team's secret, it is nobody's", async () => {
    const { cookie } = carried(row, await hers.session());
    const foreign = await app.explainWithForeignSecrets(cookie);
    assert.deepEqual([foreign.code, foreign.outcome, foreign.reason], [1, "reject", "bad_signature"], foreign.detail);
  });

  promiseIf(row.forge, "a token that somebody else signed is nobody's", async () => {
    const token = await row.forge(ada.id);
    await refused(await ask(app, carried(row, [{ value: token }])), row);
  });

  promiseIf(row.lasts, "it ends when the app would end it", async () => {
    const { cookie } = carried(row, await hers.session());
    const before = await app.explainLater(cookie, row.lasts - MARGIN);
    assert.deepEqual([before.outcome, before.user_id], ["accept", ada.id], before.detail);
    const after = await app.explainLater(cookie, row.lasts + MARGIN);
    assert.deepEqual([after.outcome, after.reason], ["reject", "expired"], after.detail);
  });

  promise("after signing out there is no token, not even for the old session", async () => {
    const credentials = await hers.credentials();
    await nextSecond();
    await hersElsewhere.opensSignIn();
    await hersElsewhere.signsIn(ada);
    await hers.signsOut();
    old.push(credentials);
    if (row.signOut === "in the store") await eventually(async () => (await ask(app, credentials)).status === 401);
    await refused(await ask(app, credentials), row);
    assert.equal((await hers.token()).status, 401);
    assert.deepEqual(await hers.whoami(), { user: null, header: null });
  });

  promise("others stay signed in, and so does the same user elsewhere", async () => {
    assert.deepEqual(await his.token(), { status: 200, tags: [`user:${bob.id}`] });
    // A token that verifies by itself is taken back with all that the user has.
    const expected = row.signOut === "everywhere" ? { status: 401 } : { status: 200, tags: [`user:${ada.id}`] };
    assert.deepEqual(await hersElsewhere.token(), expected);
  });

  promise("signing in again brings tokens again, and the old session stays worthless", async () => {
    await nextSecond();
    await signsInAgain(hers, ada);
    for (const credentials of old) await refused(await ask(app, credentials), row);
    await hers.signsOut();
    await eventually(async () => (await hers.token()).status === 401);
  });

  promiseIf(row.rest, "a session that has rested for too long is over, here and in the app", async () => {
    await app.restTooLong();
    await eventually(async () => (await his.token()).status === 401);
    // Some apps throw out old sessions when somebody else comes along.
    await fetch(`${app.url}/login`);
    assert.deepEqual(await his.whoami(), { user: null, header: null });
    await signsInAgain(his, bob);
  });

  promiseIf(row.brief, "a token is expired once its time is over", async () => {
    let credentials;
    // On a busy machine, one may have ended before it is shown.
    await eventually(async () => {
      credentials = carried(row, [{ value: await row.brief(app.url, bob) }]);
      return (await ask(app, credentials)).status === 200;
    });
    await eventually(async () => (await ask(app, credentials)).status === 401);
    assert.equal((await (await ask(app, credentials)).json()).code, "session_expired");
    assert.equal((await his.token()).status, 200, "the page's own lives on");
  });

  promiseIf(row.cookie, "a session that the operator revoked is over at once, and no other", async () => {
    await signsInAgain(hersElsewhere, ada);
    await app.gateway.revoke({ cookie: carried(row, await hersElsewhere.session()).cookie });
    await isOver(hersElsewhere);
    assert.deepEqual(await his.token(), { status: 200, tags: [`user:${bob.id}`] });
  });

  promise("a user whom the operator revoked is signed out at once, and nobody else", async () => {
    await nextSecond();
    await signsInAgain(hers, ada);
    await app.gateway.revoke({ user: bob.id });
    await isOver(his);
    assert.deepEqual(await hers.token(), { status: 200, tags: [`user:${ada.id}`] });
  });

  promise("token requests never reach the app, and the gateway printed no secret", async () => {
    assert.match(app.asked, /^GET \/whoami /m);
    assert.ok(!app.asked.includes(TOKEN));
    await app.gateway.stop();
  });

  async function signsInAgain(visitor, person) {
    await visitor.opensSignIn();
    await visitor.signsIn(person);
    assert.deepEqual(await visitor.token(), { status: 200, tags: [`user:${person.id}`] });
  }

  /** The browser has the session still, and it is worth nothing. */
  async function isOver(visitor) {
    await refused(await ask(app, await visitor.credentials()), row);
    assert.deepEqual(await visitor.whoami(), { user: null, header: null });
  }
}

function ask(app, headers) {
  return fetch(app.url + TOKEN, { headers });
}

async function refused(response, { cookie }) {
  assert.equal(response.status, 401);
  assert.equal((await response.json()).code, "not_signed_in");
  const challenge = response.headers.get("www-authenticate");
  assert.ok(challenge.includes(cookie ?? "Bearer"), challenge);
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
