// The apps under test, one row each: how its team starts it, what it shares with the gateway, who may sign in.
//
//   folder    of the app; its gateway.toml is the one to be tested, `config` names another
//   command   starts it, as its team would; it prints its address, which `listening` finds
//   secrets   the environment that the app and the gateway share; `foreign` is another team's
//   store     the server its sessions are in, whose address is added to that environment
//   cookie    the name of its session cookie, by the framework's own default; `companions` belong to it
//   signOut   "at once" where gateway.toml has `logout_paths`, "in the store" where the store alone tells

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Postgres, PostgresIn, Redis } from "../support/stores.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
/** Node.js 18 has Web Crypto behind a flag, and the libraries here expect it. */
const node = [process.execPath, ...(globalThis.crypto ? [] : ["--experimental-global-webcrypto"])];
/** Where `tests/run` installs requirements.txt. */
const python = (program) => join(here, ".venv/bin", program);

const ADA = { username: "ada", password: "analytical engine", id: "17" };
const BOB = { username: "bob", password: "tabulating machine", id: "18" };

const people = [ADA, BOB];
const accounts = people.map(({ id, username, password }) => `${id}:${username}:${password}`);

const django = {
  folder: "django",
  prepare: [
    [python("python"), "manage.py", "migrate", "--verbosity", "0"],
    [python("python"), "manage.py", "people", ...accounts],
  ],
  command: [python("gunicorn"), "--bind", "127.0.0.1:0", "shop.wsgi"],
  listening: /Listening at: (http:\S+)/,
  secrets: { DJANGO_SECRET_KEY: "interop-django-secret-0123456789" },
  foreign: { DJANGO_SECRET_KEY: "another-django-secret-0123456789" },
  store: Postgres,
  cookie: "sessionid",
};

const betterAuth = {
  folder: "better-auth",
  // It chooses the ids itself; seed.mjs prints them.
  people: people.map(({ id, ...person }) => ({ ...person, email: `${person.username}@example.com` })),
  prepare: [[...node, "seed.mjs"]],
  command: [...node, "app.mjs"],
  listening: /listening on (http:\S+)/,
  secrets: { BETTER_AUTH_SECRET: "interop-better-auth-secret-0123456789" },
  foreign: { BETTER_AUTH_SECRET: "another-better-auth-secret-0123456789" },
  store: Postgres,
  cookie: "better-auth.session_token",
};

const common = { config: "gateway.toml", people, env: {}, prepare: [], companions: [] };

const rows = [
  {
    title: "Express with Passport, sessions in Redis",
    folder: "express",
    command: [...node, "app.mjs"],
    listening: /listening on (http:\S+)/,
    secrets: { SESSION_SECRET: "interop-express-secret-0123456789" },
    foreign: { SESSION_SECRET: "another-express-secret-0123456789" },
    store: Redis,
    cookie: "connect.sid",
    signOut: "in the store",
  },
  {
    title: "Flask with Flask-Login",
    folder: "flask",
    command: [python("gunicorn"), "--bind", "127.0.0.1:0", "app:app"],
    listening: /Listening at: (http:\S+)/,
    secrets: { SECRET_KEY: "interop-flask-secret-0123456789" },
    foreign: { SECRET_KEY: "another-flask-secret-0123456789" },
    cookie: "session",
    signOut: "at once",
  },
  {
    title: "FastAPI with Starlette's SessionMiddleware",
    folder: "fastapi",
    command: [python("uvicorn"), "main:app", "--port", "0"],
    listening: /running on (http:\S+)/,
    secrets: { SESSION_SECRET: "interop-fastapi-secret-0123456789" },
    foreign: { SESSION_SECRET: "another-fastapi-secret-0123456789" },
    cookie: "session",
    signOut: "at once",
  },
  { title: "Django, sessions in PostgreSQL", ...django, signOut: "in the store" },
  {
    title: "Django, sessions in signed cookies",
    ...django,
    config: "signed-cookies.toml",
    env: { DJANGO_SETTINGS_MODULE: "shop.settings_signed_cookies" },
    signOut: "at once",
  },
  {
    title: "Rails, session in its default encrypted cookie",
    folder: "rails",
    env: { RAILS_ENV: "production", DISABLE_DATABASE_ENVIRONMENT_CHECK: "1" },
    prepare: [["ruby", "bin/rails", "db:schema:load", "db:seed"]],
    command: ["puma"],
    listening: /Listening on (http:\S+)/,
    secrets: { SECRET_KEY_BASE: "interop-rails-secret-0123456789-interop-rails-secret-0123456789" },
    foreign: { SECRET_KEY_BASE: "another-rails-secret-0123456789-another-rails-secret-0123456789" },
    cookie: "_shop_session",
    signOut: "at once",
  },
  {
    title: "Express with iron-session",
    folder: "iron-session",
    command: [...node, "app.mjs"],
    listening: /listening on (http:\S+)/,
    secrets: { IRON_PASSWORD: "interop-iron-password-0123456789" },
    foreign: { IRON_PASSWORD: "another-iron-password-0123456789" },
    cookie: "shop_session",
    signOut: "at once",
  },
  {
    title: "React Router with cookie sessions",
    folder: "react-router",
    command: [...node, "app.mjs"],
    listening: /listening on (http:\S+)/,
    secrets: { SESSION_SECRET: "interop-react-router-secret-0123456789" },
    foreign: { SESSION_SECRET: "another-react-router-secret-0123456789" },
    cookie: "__session",
    signOut: "at once",
  },
  {
    title: "Express with connect-pg-simple, a database in New York",
    folder: "express-postgres",
    command: [...node, "app.mjs"],
    listening: /listening on (http:\S+)/,
    secrets: { SESSION_SECRET: "interop-express-secret-0123456789" },
    foreign: { SESSION_SECRET: "another-express-secret-0123456789" },
    store: PostgresIn("America/New_York"),
    cookie: "connect.sid",
    signOut: "in the store",
  },
  {
    title: "Express with express-openid-connect and an OpenID provider",
    folder: "express-openid-connect",
    command: [...node, "app.mjs"],
    listening: /listening on (http:\S+)/,
    secrets: { SECRET: "interop-openid-secret-0123456789-0123456789" },
    foreign: { SECRET: "another-openid-secret-0123456789-0123456789" },
    cookie: "appSession",
    signOut: "at once",
  },
  {
    title: "h3 2 with useSession, a session of two cookies",
    folder: "h3",
    command: [...node, "app.mjs"],
    listening: /listening on (http:\S+)/,
    secrets: { SESSION_PASSWORD: "interop-h3-password-0123456789-0123456789" },
    foreign: { SESSION_PASSWORD: "another-h3-password-0123456789-0123456789" },
    cookie: "h3",
    companions: ["h3.1", "h3.2", "h3.3"],
    signOut: "at once",
  },
  { title: "better-auth, sessions in PostgreSQL", ...betterAuth, signOut: "in the store" },
  {
    title: "better-auth with Drizzle, a database in Tokyo",
    ...betterAuth,
    folder: "better-auth-drizzle",
    store: PostgresIn("Asia/Tokyo"),
    signOut: "in the store",
  },
  {
    title: "better-auth, sessions cached in a cookie",
    ...betterAuth,
    config: "cookie-cache.toml",
    env: { COOKIE_CACHE: "1" },
    companions: ["better-auth.session_data"],
    signOut: "at once",
  },
];

export const table = rows.map((row) => ({ ...common, ...row, folder: join(here, row.folder) }));
