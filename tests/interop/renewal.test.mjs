// A session that is over stays over, although the app renews sessions at each request: with the frameworks themselves,
// through the page that their clients poll. A thief has the cookies; the app would sign them anew for anybody.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Gateway } from "./harness.mjs";
import { spellings } from "./renewing/spellings.mjs";
import { table } from "./renewing/table.mjs";
import { Child } from "./support/child.mjs";
import { API_KEY } from "./support/portive.mjs";
import { Relay } from "./support/relay.mjs";

const TOKEN = "/api/get-auth-token";

// One kind alone: KIND=rails node --test renewal.test.mjs
for (const row of table.filter(({ kind }) => kind.endsWith(process.env.KIND ?? ""))) {
  describe(row.kind, { concurrency: true }, () => scenario(row));
}

function scenario(row) {
  const promise = (sentence, work) => test(sentence, { timeout: 240_000 }, work);
  const folder = mkdtempSync(join(tmpdir(), "portcullis-renewal-"));
  let relay, store, gateway, app;

  before(async () => {
    [relay, store] = await Promise.all([Relay.open(), row.store?.open()]);
    const secrets = { SECRET: row.secret, ...store?.env };
    const secret = { keys: 'keys = ["env:SECRET"]', secret: 'secret = "env:SECRET"' }[row.secrets] ?? "";
    const settings = `[upstream]
servers = ["${relay.url}"]
[token.portive]
path = "${TOKEN}"
preset = "portive"
key = "env:PORTIVE_API_KEY"
[session]
kind = "${row.kind}"
${secret}
logout_paths = ["${row.signOutPath}"]
${row.session.replace("APP", relay.url)}
`;
    gateway = await Gateway.start(settings, { ...secrets, PORTIVE_API_KEY: API_KEY });
    const env = { HOME: folder, TMPDIR: folder, PUBLIC_URL: gateway.url, ...row.env, ...secrets };
    const [program, ...args] = row.command;
    app = new Child(program, args, { cwd: folder, env });
    relay.leadTo(await app.heard("where it listens", (line) => line.match(row.listening)?.[1], 60_000));
  }, { timeout: 240_000 });
  after(async () => {
    [app, gateway].forEach((child) => child?.kill());
    relay?.close();
    await store?.close();
    rmSync(folder, { recursive: true, force: true });
  }, { timeout: 240_000 });

  /** Signs in; returns the browser, and the id that the gateway knows the user by. */
  async function arrive(user) {
    const visitor = new Visitor(gateway.url);
    const id = (await row.signIn(visitor, user)) ?? user;
    const { session } = await visitor.poll(row);
    assert.equal(session, user, `signed in\n${app.output}`);
    assert.equal(await visitor.token(), 200);
    return { visitor, id: typeof id === "string" ? id : user };
  }

  /** The thief polls, keeps whatever cookie comes, and gets nowhere. */
  async function isOver(thief) {
    const stolen = thief.cookie;
    for (let round = 0; round < 2; round += 1) {
      // Some apps begin a session for everybody, of nobody yet.
      const { session } = await thief.poll(row);
      assert.equal(session, null, "the app knows nobody");
      assert.equal(await thief.token(), 401, "nor with what came back");
      assert.equal(await new Visitor(gateway.url, stolen).token(), 401, "nor with what was stolen");
      await nextSecond();
    }
  }

  promise("the app does renew a session at each poll, and the renewed one counts", async () => {
    const { visitor } = await arrive("ada");
    const before = visitor.cookie;
    await nextSecond();
    const { session, renewed } = await visitor.poll(row);
    assert.deepEqual({ session, renewed }, { session: "ada", renewed: true });
    assert.equal(await visitor.token(), 200);
    assert.equal(await new Visitor(gateway.url, before).token(), 200, "as the one before does");
  });

  promise("a user's revoked session is renewed by no poll, and others stay", async () => {
    const [bob, eve] = [await arrive("bob"), await arrive("eve")];
    const thief = new Visitor(gateway.url, bob.visitor.cookie);
    await nextSecond();
    await gateway.revoke({ user: bob.id });
    await Promise.all([isOver(thief), isOver(bob.visitor)]);
    assert.equal((await eve.visitor.poll(row)).session, "eve");
    assert.equal(await eve.visitor.token(), 200);
  });

  promise("one session that the operator revoked is renewed by no poll", async () => {
    const carol = await arrive("carol");
    const thief = new Visitor(gateway.url, carol.visitor.cookie);
    await gateway.revoke({ cookie: carol.visitor.cookie });
    await isOver(thief);
  });

  promise("a session that the app signed out is renewed by no poll", async () => {
    const dan = await arrive("dan");
    const thief = new Visitor(gateway.url, dan.visitor.cookie);
    await row.signOut(dan.visitor);
    await isOver(thief);
  });

  for (const [how, end] of [
    ["the operator revoked", async ({ id }) => (await nextSecond(), gateway.revoke({ user: id }))],
    ["the app signed out", ({ visitor }) => row.signOut(visitor)],
  ]) {
    promise(`no other spelling of a session that ${how} reaches the app`, async () => {
      const { visitor, id } = await arrive(how.includes("app") ? "finn" : "gus");
      const stolen = visitor.cookie;
      await end({ visitor, id });
      await nextSecond();
      const reached = [];
      for (const [name, cookie] of spellings(stolen)) {
        const thief = new Visitor(gateway.url, cookie);
        // What is in the way of the parser itself may be an error of the app's.
        const { session } = await thief.poll(row).catch(() => ({ session: null }));
        const status = await thief.token();
        if (session !== null || status === 200) reached.push({ name, session, status });
      }
      assert.deepEqual(reached, [], stolen);
    });
  }
}

/** A browser, as far as cookies go. */
class Visitor {
  #url;
  #cookies = new Map();

  constructor(url, cookie = "") {
    this.#url = url;
    for (const pair of cookie.split("; ").filter(Boolean)) this.#keep(pair);
  }

  get cookie() {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  async ask(path, { headers, ...options } = {}) {
    const cookie = this.cookie ? { Cookie: this.cookie } : {};
    const origin = options.method === "POST" ? { Origin: this.#url } : {};
    const all = { ...cookie, ...origin, ...headers };
    const answer = await fetch(this.#url + path, { redirect: "manual", ...options, headers: all });
    // To its end: express-session sends the headers first and keeps the session then.
    const text = await answer.text();
    Object.assign(answer, { text: async () => text, json: async () => JSON.parse(text) });
    answer.set = answer.headers.getSetCookie();
    answer.set.forEach((line) => this.#keep(line));
    return answer;
  }

  form(path, fields) {
    return this.ask(path, { method: "POST", body: new URLSearchParams(fields) });
  }

  json(path, value) {
    const headers = { "Content-Type": "application/json" };
    return this.ask(path, { method: "POST", headers, body: JSON.stringify(value) });
  }

  /** Whose session the app's own page says it is, and whether it has set a session cookie again. */
  async poll({ poll, user }) {
    const answer = await this.ask(poll);
    const text = await answer.text();
    const session = answer.ok && text ? (user(JSON.parse(text)) ?? null) : null;
    const lives = (line) => !/csrf|xsrf|callback/i.test(line.split("=")[0]) && !isGone(line);
    return { session, renewed: answer.set.some(lives) };
  }

  async token() {
    const answer = await this.ask(TOKEN);
    await answer.text();
    return answer.status;
  }

  #keep(line) {
    const pair = line.split(";")[0];
    const at = pair.indexOf("=");
    if (isGone(line)) this.#cookies.delete(pair.slice(0, at));
    else this.#cookies.set(pair.slice(0, at), pair.slice(at + 1));
  }
}

function isGone(line) {
  const expires = line.match(/expires=([^;]+)/i)?.[1];
  return /max-age=0/i.test(line) || /^[^=]*=(;|$)/.test(line) || (expires && Date.parse(expires) < Date.now());
}

/** Sessions are dated to the second. */
function nextSecond() {
  return new Promise((resolve) => setTimeout(resolve, 1_010 - (Date.now() % 1_000)));
}
