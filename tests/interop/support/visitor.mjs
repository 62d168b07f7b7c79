// A person at a browser of her own, at an app of `apps/table.mjs`. Her session is in cookies, or in a token that the
// page keeps and sends in `Authorization`.

import assert from "node:assert/strict";
import { verify } from "./portive.mjs";

export const TOKEN = "/api/get-auth-token";

export class Visitor {
  #token = null;

  static async arrive(browser, app, row) {
    const visitor = new Visitor();
    const context = await browser.newContext({ baseURL: app.url });
    context.setDefaultTimeout(60_000);
    context.on("request", (request) => visitor.#overhear(request));
    return Object.assign(visitor, { app, row, context, page: await context.newPage() });
  }

  /** The headers that make this browser's requests hers; none if nothing does. */
  async credentials() {
    if (!this.row.cookie) return this.#token ? carried(this.row, [{ value: this.#token }]) : {};
    const cookies = await this.context.cookies();
    return cookies.length > 0 ? carried(this.row, cookies) : {};
  }

  /** The session alone: its cookies, or its token. */
  async session() {
    const parts = this.row.cookie ? await this.#sessionCookies() : [{ value: this.#token }];
    // The number of a cookie's parts is no secret.
    const secrets = parts.map(({ value }) => value).filter((value) => value.length > 20);
    this.app.gateway.keepSecret(...secrets);
    return parts;
  }

  async opensSignIn() {
    await this.page.goto("/login");
  }

  async signsIn({ username, email, password }) {
    await this.page.getByLabel(/user ?name|e-?mail/i).fill(email ?? username);
    await this.page.getByLabel("Password").fill(password);
    await this.page.getByRole("button", { name: "Sign in" }).click();
    await this.page.getByText(`Signed in as ${username}`).waitFor();
    await this.session();
  }

  async signsOut() {
    // A token in memory is gone once the page is loaded again.
    if (this.row.cookie) await this.page.goto("/");
    await this.page.getByRole("button", { name: "Sign out" }).click();
    await this.page.getByRole("button", { name: "Sign in" }).waitFor();
  }

  /** What a script of the page gets. */
  async token() {
    const { status, body } = await this.#fetch(TOKEN, { method: "POST" });
    if (status !== 200) return { status };
    this.app.gateway.keepSecret(body.authToken);
    return { status, tags: verify(body.authToken).tags };
  }

  async whoami() {
    return (await this.#fetch("/whoami")).body;
  }

  // A page whose token is in memory has a function of its own that sends it.
  #fetch(path, options = {}) {
    return this.page.evaluate(
      async ([path, options]) => {
        const response = await (globalThis.authorized ?? fetch)(path, options);
        return { status: response.status, body: await response.json() };
      },
      [path, options],
    );
  }

  #overhear(request) {
    const [, token] = request.headers().authorization?.match(/^Bearer (.+)$/) ?? [];
    this.#token = token ?? this.#token;
  }

  async #sessionCookies() {
    const names = [this.row.cookie, ...this.row.companions];
    const cookies = (await this.context.cookies()).filter(({ name }) => names.includes(name));
    assert.deepEqual(cookies.map(({ name }) => name).sort(), names.sort(), "the cookies the app sets");
    return cookies;
  }
}

/** The request headers that carry a session. */
export function carried(row, parts) {
  if (!row.cookie) return { authorization: `Bearer ${parts[0].value}` };
  return { cookie: parts.map(({ name, value }) => `${name}=${value}`).join("; ") };
}
