// The apps under test, one row each: how its team starts it, what it shares with the gateway, who may sign in.
//
//   folder    of the app; its gateway.toml is the one to be tested, `config` names another
//   command   starts it, as its team would; it prints its address, which `listening` finds
//   secrets   the environment that the app and the gateway share; `foreign` is another team's
//   store     what its sessions are in, whose address is added to that environment
//   cookie    the name of its session cookie, by the framework's own default; `companions` belong to it. Without one, the
//             page sends a token: `forge` makes one with another key, `brief` fetches one that ends within seconds
//   signOut   "at once" where gateway.toml has `logout_paths`, "in the store" where the store alone tells, "everywhere"
//             where the app revokes its user
//   lasts     seconds after which a session ends that nobody uses, where `portcullis session --now` can tell
//   rest      makes all sessions of the store older than that

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SessionFiles, Sqlite } from "../support/local-stores.mjs";
import { Postgres, PostgresIn, Redis } from "../support/stores.mjs";
import { briefToken, forgedToken } from "./bearer/tokens.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
/** Node.js 18 has Web Crypto behind a flag, and the libraries here expect it. */
const node = [process.execPath, ...(globalThis.crypto ? [] : ["--experimental-global-webcrypto"])];
/** Where `tests/run` installs requirements.txt. */
const python = (program) => join(here, ".venv/bin", program);

const ADA = { username: "ada", password: "analytical engine", id: "17" };
const BOB = { username: "bob", password: "tabulating machine", id: "18" };

const people = [ADA, BOB];
const MINUTES = 60;
const DAYS = 24 * 60 * MINUTES;
const expired = (redis) => redis.expire();
/** The column of a time in PostgreSQL, as if `by` had passed. */
const backdated = (table, column, by) => (postgres) =>
  postgres.query(`UPDATE "${table}" SET "${column}" = "${column}" - interval '${by}'`);

// Of apps that choose the ids themselves; their seed prints them.
const emailed = people.map(({ id, ...person }) => ({ ...person, email: `${person.username}@example.com` }));
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
  lasts: 14 * DAYS,
};

const betterAuth = {
  folder: "better-auth",
  people: emailed,
  prepare: [[...node, "seed.mjs"]],
  command: [...node, "app.mjs"],
  listening: /listening on (http:\S+)/,
  secrets: { BETTER_AUTH_SECRET: "interop-better-auth-secret-0123456789" },
  foreign: { BETTER_AUTH_SECRET: "another-better-auth-secret-0123456789" },
  store: Postgres,
  cookie: "better-auth.session_token",
  lasts: 7 * DAYS,
};

const common = { config: "gateway.toml", people, env: {}, secrets: {}, prepare: [], companions: [] };

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
    rest: expired,
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
    lasts: 31 * DAYS,
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
    lasts: 14 * DAYS,
  },
  {
    title: "Django, sessions in PostgreSQL",
    ...django,
    signOut: "in the store",
    rest: backdated("django_session", "expire_date", "15 days"),
  },
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
    lasts: 14 * DAYS,
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
    lasts: 60 * MINUTES,
    rest: backdated("session", "expire", "61 minutes"),
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
    lasts: 1 * DAYS,
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
    lasts: 30 * MINUTES,
  },
  {
    title: "better-auth, sessions in PostgreSQL",
    ...betterAuth,
    signOut: "in the store",
    rest: backdated("session", "expiresAt", "8 days"),
  },
  {
    title: "better-auth with Drizzle, a database in Tokyo",
    ...betterAuth,
    folder: "better-auth-drizzle",
    store: PostgresIn("Asia/Tokyo"),
    signOut: "in the store",
    rest: backdated("session", "expires_at", "7 days 1 minute"),
  },
  {
    title: "better-auth, sessions cached in a cookie",
    ...betterAuth,
    config: "cookie-cache.toml",
    env: { COOKIE_CACHE: "1" },
    companions: ["better-auth.session_data"],
    signOut: "at once",
  },
  {
    title: "Flask-Session with Flask-Login, sessions in Redis",
    folder: "flask-session",
    command: [python("gunicorn"), "--bind", "127.0.0.1:0", "app:app"],
    listening: /Listening at: (http:\S+)/,
    store: Redis,
    cookie: "session",
    signOut: "in the store",
    rest: expired,
  },
  {
    title: "FastAPI with fastapi-users, sessions in SQLite",
    folder: "fastapi-users",
    people: emailed,
    prepare: [[python("python"), "seed.py"]],
    command: [python("uvicorn"), "main:app", "--port", "0"],
    listening: /running on (http:\S+)/,
    store: Sqlite,
    cookie: "fastapiusersauth",
    signOut: "in the store",
    lasts: 14 * DAYS,
    rest: (sqlite) => sqlite.query("UPDATE accesstoken SET created_at = datetime(created_at, '-14 days', '-1 minute')"),
  },
  {
    title: "PHP's own sessions, in files",
    folder: "php",
    // Debian leaves old sessions to a timer of its own; here PHP throws them out at each request.
    command: ["php", "-d", "session.gc_probability=1", "-d", "session.gc_divisor=1", "-S", "127.0.0.1:0", "index.php"],
    listening: /Development Server \((http:\S+)\) started/,
    store: SessionFiles,
    cookie: "PHPSESSID",
    signOut: "in the store",
    lasts: 24 * MINUTES,
    rest: (files) => files.age(25 * MINUTES),
  },
  {
    title: "A single-page app with a Bearer token of its own issuer",
    folder: "bearer",
    command: [...node, "app.mjs"],
    listening: /listening on (http:\S+)/,
    signOut: "everywhere",
    forge: forgedToken,
    brief: briefToken,
  },
];

export const table = rows.map((row) => ({ ...common, ...row, folder: join(here, row.folder) }));
