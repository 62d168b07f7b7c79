// One row for each kind of session whose app renews it: how to start the app, and what gateway.toml says of it.

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Redis } from "../support/stores.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
/** Node.js 18 has Web Crypto behind a flag, and the libraries here expect it. */
const flags = globalThis.crypto ? [] : ["--experimental-global-webcrypto"];
const node = (kind) => [process.execPath, ...flags, join(here, "app.mjs"), kind];
const python = (program, ...args) => [join(here, "../apps/.venv/bin", program), ...args];

const TEXT = "renewal-secret-0123456789-renewal-secret-0123456789-renewal-secret-0123456789";
const BASE64 = Buffer.from("0123456789abcdef0123456789abcdef").toString("base64");

const page = {
  secret: TEXT,
  env: {},
  poll: "/poll",
  listening: /(http:\/\/127\.0\.0\.1:\d+)/,
  /** What the poll says. */
  user: (answer) => answer.user,
  signIn: (visitor, user) => visitor.ask(`/sign-in?user=${user}`),
  signOut: (visitor) => visitor.ask("/sign-out", { method: "POST" }),
  signOutPath: "POST /sign-out",
};

/** The pages of next-auth and Auth.js: a sign-in needs the token that another page hands out. */
const authjs = {
  ...page,
  poll: "/api/auth/session",
  user: (answer) => answer?.user?.name ?? null,
  async signIn(visitor, user) {
    await visitor.form("/api/auth/callback/credentials", { ...(await csrf(visitor)), username: user });
  },
  async signOut(visitor) {
    await visitor.form("/api/auth/signout", await csrf(visitor));
  },
  signOutPath: "POST /api/auth/signout",
};

async function csrf(visitor) {
  const { csrfToken } = await (await visitor.ask("/api/auth/csrf")).json();
  return { csrfToken, callbackUrl: "/", json: "true" };
}

const PASSWORD = "analytical engine";

const rows = [
  { kind: "auth0" },
  { ...authjs, kind: "authjs", env: { AUTH_TRUST_HOST: "1" } },
  {
    kind: "better-auth",
    session: "[session.cookie_cache]",
    poll: "/api/auth/get-session?disableCookieCache=true",
    user: (answer) => answer?.user?.name ?? null,
    async signIn(visitor, user) {
      const person = { name: user, email: `${user}@example.com`, password: PASSWORD };
      const made = await visitor.json("/api/auth/sign-up/email", person);
      const answer = made.ok ? made : await visitor.json("/api/auth/sign-in/email", person);
      return (await answer.json()).user.id;
    },
    signOut: (visitor) => visitor.json("/api/auth/sign-out", {}),
    signOutPath: "POST /api/auth/sign-out",
  },
  { kind: "cookie-session", session: 'user_id = "/user"' },
  {
    kind: "django",
    session: 'backend = "signed_cookies"',
    command: python("gunicorn", "--chdir", here, "--bind", "127.0.0.1:0", "app:app"),
    env: { FRAMEWORK: "django" },
  },
  {
    kind: "express-session",
    session: 'user_id = "/user"\n[session.store]\nengine = "redis"\nurl = "env:REDIS_URL"\ntimeout = "10s"',
    store: Redis,
  },
  { kind: "fastify-secure-session", secret: BASE64, secrets: "keys", session: 'max_age = "1h"\nuser_id = "/user"' },
  {
    kind: "flask",
    command: python("gunicorn", "--chdir", here, "--bind", "127.0.0.1:0", "app:app"),
    env: { FRAMEWORK: "flask" },
  },
  { kind: "h3-session", session: 'cookie = "nuxt-session"\nuser_id = "/user/id"' },
  {
    kind: "introspect",
    secrets: null,
    session: 'cookies = ["sid"]\nurl = "APP/me"\nuser_id = "/user/id"',
  },
  { kind: "iron-session", session: 'cookie = "shop_session"\nuser_id = "/user"' },
  { kind: "jwt", session: 'cookie = "session"' },
  { kind: "koa-session", session: 'user_id = "/user/id"' },
  {
    kind: "laravel",
    secret: `base64:${BASE64}`,
    session: 'driver = "cookie"\ncookie = "laravel_session"',
    // A thief has this cookie too, by which the app would sign in anybody.
    signIn: (visitor, user) => visitor.ask(`/sign-in?user=${user}&remember=1`),
    command: ["php", "-S", "127.0.0.1:0", join(here, "app.php")],
  },
  {
    kind: "lookup",
    secrets: null,
    session: 'cookie = "sid"\nuser_id = "/user_id"\n[session.store]\nengine = "redis"\nurl = "env:REDIS_URL"\nprefix = "shop:"\ntimeout = "10s"',
    store: Redis,
  },
  { ...authjs, kind: "next-auth", env: { AUTH_TRUST_HOST: "1" } },
  { kind: "plug", session: 'cookie = "_shop_key"\nsigning_salt = "salt"\nuser_id = "/user_id"' },
  {
    kind: "rails",
    session: 'cookie = "_shop_session"\nuser_id = "/user_id"',
    command: ["puma", "--bind", "tcp://127.0.0.1:0", "--environment", "production", join(here, "config.ru")],
  },
  { kind: "react-router", session: 'user_id = "/user"' },
  {
    kind: "starlette",
    session: 'user_id = "/user_id"',
    command: python("uvicorn", "--app-dir", here, "app:app", "--port", "0"),
    env: { FRAMEWORK: "starlette" },
  },
  { kind: "supabase", session: 'project_ref = "abcdefghijklmnopqrst"' },
  { kind: "yar", session: 'user_id = "/user/id"' },
];

export const table = rows.map((row) => ({ ...page, command: node(row.kind), secrets: "secret", session: "", ...row }));
