// The default session cookie of each npm library, a line of JSON each: kind, library, version, settings, cookie, user.

import { generateKeyPairSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export const packages = [
  "@auth/core",
  "@auth0/nextjs-auth0",
  "@clerk/backend",
  "@supabase/ssr",
  "@supabase/supabase-js",
  "better-auth",
  "cookie-session",
  "express",
  "express-openid-connect",
  "fastify",
  "@fastify/cookie",
  "@fastify/secure-session",
  "@fastify/session",
  "@hapi/hapi",
  "@hapi/yar",
  "@hono/session",
  "connect-redis",
  "cookie-parser",
  "drizzle-orm",
  "express-session",
  "h3",
  "hono",
  "iron-session",
  "jose",
  "jsonwebtoken",
  "koa",
  "koa-session",
  "next",
  "next-auth",
  "react",
  "react-dom",
  "react-router",
  "redis",
  "sql.js",
];

const secret = "currency-secret-of-at-least-32-characters";
const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version;
const pairs = (setCookies) => setCookies.map((line) => line.split(";")[0]).join("; ");

/** The cookies that a Node.js handler sets. */
async function answered(handler) {
  const server = createServer(handler).listen(0, "127.0.0.1");
  await once(server, "listening");
  const response = await fetch(`http://127.0.0.1:${server.address().port}/`);
  await response.text();
  server.close();
  return pairs(response.headers.getSetCookie());
}

const inRedis = { engine: "redis", url: process.env.REDIS_URL };

/** A store of connect-redis, with the server that `run` starts. */
async function redisStore() {
  const [{ RedisStore }, { createClient }] = await Promise.all([import("connect-redis"), import("redis")]);
  return new RedisStore({ client: await createClient({ url: process.env.REDIS_URL }).connect() });
}

const recipes = {
  async "next-auth"() {
    const { encode } = await import("next-auth/jwt");
    const token = await encode({ token: { sub: "u-1" }, secret });
    return { kind: "next-auth", cookie: `next-auth.session-token=${token}`, settings: { secret } };
  },
  async "@auth/core"() {
    const { encode } = await import("@auth/core/jwt");
    const salt = "authjs.session-token";
    const token = await encode({ token: { sub: "u-1" }, secret, salt });
    return { kind: "authjs", cookie: `${salt}=${token}`, settings: { secret } };
  },
  async "better-auth"() {
    const { betterAuth } = await import("better-auth");
    const { memoryAdapter } = await import("better-auth/adapters/memory");
    const db = { user: [], session: [], account: [], verification: [] };
    const auth = betterAuth({
      database: memoryAdapter(db),
      secret,
      baseURL: "https://app.test",
      emailAndPassword: { enabled: true },
      session: { cookieCache: { enabled: true } },
    });
    const body = JSON.stringify({ name: "U", email: "u@example.com", password: "correct horse 1" });
    const headers = { "content-type": "application/json", origin: "https://app.test" };
    const response = await auth.handler(
      new Request("https://app.test/api/auth/sign-up/email", { method: "POST", headers, body }),
    );
    const settings = { secret, cookie_cache: {} };
    return { kind: "better-auth", cookie: pairs(response.headers.getSetCookie()), settings, user: db.user[0].id };
  },
  async "drizzle-orm"() {
    const [{ betterAuth }, { drizzleAdapter }] = await Promise.all([
      import("better-auth"),
      import("better-auth/adapters/drizzle"),
    ]);
    const [{ drizzle }, { sqliteTable, text, integer }] = await Promise.all([
      import("drizzle-orm/sql-js"),
      import("drizzle-orm/sqlite-core"),
    ]);
    const { default: initSqlJs } = await import("sql.js");
    const file = new (await initSqlJs()).Database();
    const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const made = (name, columns) => {
      const all = ["id", ...columns.split(" "), "createdAt", "updatedAt"];
      file.run(`CREATE TABLE ${name} (${all.map(snake).join(", ")})`);
      const mode = (column) => (column.endsWith("At") ? "timestamp" : column === "emailVerified" && "boolean");
      const type = (column) => (mode(column) ? integer(snake(column), { mode: mode(column) }) : text(snake(column)));
      return sqliteTable(name, Object.fromEntries(all.map((column) => [column, type(column)])));
    };
    const schema = {
      user: made("user", "name email emailVerified image"),
      session: made("session", "expiresAt token ipAddress userAgent userId"),
      account: made(
        "account",
        "accountId providerId userId accessToken refreshToken idToken accessTokenExpiresAt refreshTokenExpiresAt scope password",
      ),
      verification: made("verification", "identifier value expiresAt"),
    };
    const auth = betterAuth({
      database: drizzleAdapter(drizzle(file), { provider: "sqlite", schema }),
      secret,
      baseURL: "https://app.test",
      emailAndPassword: { enabled: true },
    });
    const { headers } = await auth.api.signUpEmail({
      body: { name: "U", email: "u@example.com", password: "correct horse 1" },
      returnHeaders: true,
    });
    writeFileSync("drizzle.db", file.export());
    const id = file.exec("SELECT id FROM user")[0].values[0][0];
    const store = { engine: "sql", url: `sqlite://${process.cwd()}/drizzle.db` };
    return { kind: "better-auth", cookie: pairs(headers.getSetCookie()), settings: { secret, store }, user: id };
  },
  async "@auth0/nextjs-auth0"() {
    const { generateSessionCookie } = await import("@auth0/nextjs-auth0/testing");
    const now = Math.floor(Date.now() / 1000);
    const session = {
      user: { sub: "u-1" },
      tokenSet: { accessToken: "a", expiresAt: now + 3600 },
      internal: { sid: "s-1", createdAt: now },
    };
    const cookie = await generateSessionCookie(session, { secret });
    return { kind: "auth0", cookie: `__session=${cookie}`, settings: { secret } };
  },
  async "@clerk/backend"() {
    const { signJwt } = await import("@clerk/backend/jwt");
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: "https://clerk.app.test", sub: "u-1", sid: "sess_1", iat: now, nbf: now - 5, exp: now + 3600 };
    const key = privateKey.export({ type: "pkcs8", format: "pem" });
    const options = { algorithm: "RS256", header: { alg: "RS256", typ: "JWT", kid: "ins_1" } };
    const signed = await signJwt(claims, key, options);
    const publishable = `pk_live_${Buffer.from("clerk.app.test$").toString("base64")}`;
    const settings = { publishable_key: publishable, public_key: publicKey.export({ type: "spki", format: "pem" }) };
    return { kind: "clerk", cookie: `__client_uat=${now}; __session=${signed.data ?? signed}`, settings };
  },
  async "@supabase/ssr"() {
    const [{ createServerClient }, { SignJWT }] = await Promise.all([import("@supabase/ssr"), import("jose")]);
    const project = "abcdefghijklmnopqrst";
    const url = `https://${project}.supabase.co`;
    const token = new SignJWT({ role: "authenticated", aud: "authenticated", session_id: "s-1" });
    token.setProtectedHeader({ alg: "HS256" }).setSubject("u-1").setIssuer(`${url}/auth/v1`);
    const access_token = await token.setIssuedAt().setExpirationTime("1h").sign(new TextEncoder().encode(secret));
    let sent = [];
    const client = createServerClient(url, "anon", {
      cookies: { getAll: () => [], setAll: (cookies) => (sent = cookies) },
      // The server that knows the user.
      global: { fetch: async () => Response.json({ id: "u-1", aud: "authenticated" }) },
      realtime: { transport: class {} },
    });
    await client.auth.setSession({ access_token, refresh_token: "r-1" });
    const cookie = sent.map(({ name, value }) => `${name}=${value}`).join("; ");
    return { kind: "supabase", cookie, settings: { project_ref: project, secret } };
  },
  async h3() {
    const { H3, useSession } = await import("h3");
    const app = new H3();
    app.get("/", async (event) => {
      await (await useSession(event, { password: secret })).update({ user: { id: "u-1" } });
      return "";
    });
    const response = await app.fetch(new Request("http://app.test/"));
    return { kind: "h3-session", cookie: pairs(response.headers.getSetCookie()), settings: { secret, user_id: "/user/id" } };
  },
  async "iron-session"() {
    const { sealData } = await import("iron-session");
    const seal = await sealData({ user: { id: "u-1" } }, { password: secret });
    return { kind: "iron-session", cookie: `app=${seal}`, settings: { cookie: "app", secret, user_id: "/user/id" } };
  },
  async "react-router"() {
    const { createCookieSessionStorage } = await import("react-router");
    const storage = createCookieSessionStorage({ cookie: { name: "__session", secrets: [secret] } });
    const session = await storage.getSession();
    session.set("userId", "u-1");
    const cookie = (await storage.commitSession(session)).split(";")[0];
    return { kind: "react-router", cookie, settings: { secret, user_id: "/userId" } };
  },
  async "cookie-session"() {
    const { default: express } = await import("express");
    const { default: session } = await import("cookie-session");
    const app = express();
    app.use(session({ keys: [secret] }));
    app.get("/", (request, response) => response.send(String((request.session.userId = "u-1"))));
    return { kind: "cookie-session", cookie: await answered(app), settings: { secret, user_id: "/userId" } };
  },
  async "koa-session"() {
    const { default: Koa } = await import("koa");
    const koaSession = await import("koa-session");
    const app = new Koa();
    app.keys = [secret];
    const session = koaSession.default ?? koaSession.createSession;
    app.use(session(app));
    app.use((context) => {
      context.session.user = { id: "u-1" };
      context.body = "";
    });
    return { kind: "koa-session", cookie: await answered(app.callback()), settings: { secret, user_id: "/user/id" } };
  },
  async "@fastify/secure-session"() {
    const { default: fastify } = await import("fastify");
    const { default: session } = await import("@fastify/secure-session");
    const key = Buffer.alloc(32, 7);
    const app = fastify();
    app.register(session, { key });
    app.get("/", (request, reply) => {
      request.session.set("userId", "u-1");
      reply.send("");
    });
    const response = await app.inject("/");
    const settings = { keys: [`base64:${key.toString("base64")}`], user_id: "/userId" };
    return { kind: "fastify-secure-session", cookie: pairs([response.headers["set-cookie"]].flat()), settings };
  },
  async "express-openid-connect"() {
    const { createRequire } = await import("node:module");
    const require = createRequire(import.meta.url);
    const { default: express } = await import("express");
    const { SignJWT } = await import("jose");
    const { get } = require("./node_modules/express-openid-connect/lib/config.js");
    const appSession = require("./node_modules/express-openid-connect/lib/appSession.js");
    const issuer = "https://issuer.test";
    const config = get({ secret, baseURL: "https://app.test", clientID: "c1", issuerBaseURL: issuer });
    const token = new SignJWT({}).setProtectedHeader({ alg: "HS256" }).setSubject("u-1").setIssuer(`${issuer}/`);
    const id_token = await token.setIssuedAt().setExpirationTime("1h").sign(new TextEncoder().encode(secret));
    const app = express();
    app.use((appSession.default ?? appSession)(config));
    app.get("/", (request, response) => {
      Object.assign(request.appSession, { id_token, access_token: "a", token_type: "Bearer" });
      response.send("");
    });
    return { kind: "auth0", cookie: await answered(app), settings: { secret } };
  },
  async "express-session"() {
    const { default: express } = await import("express");
    const { default: session } = await import("express-session");
    const app = express();
    app.use(session({ secret, store: await redisStore(), resave: false, saveUninitialized: false }));
    app.get("/", (request, response) => {
      request.session.user = { id: "u-1" };
      response.send("");
    });
    const settings = { secret, user_id: "/user/id", store: inRedis };
    return { kind: "express-session", cookie: await answered(app), settings };
  },
  async "@fastify/session"() {
    const { default: fastify } = await import("fastify");
    const app = fastify();
    app.register((await import("@fastify/cookie")).default);
    app.register((await import("@fastify/session")).default, {
      secret,
      store: await redisStore(),
      cookie: { secure: false },
    });
    app.get("/", async (request) => {
      request.session.user = { id: "u-1" };
      return "";
    });
    const response = await app.inject("/");
    const cookie = pairs([response.headers["set-cookie"]].flat());
    const settings = { cookie: "sessionId", cookie_prefix: "", secret, user_id: "/user/id", store: inRedis };
    return { kind: "express-session", cookie, settings };
  },
  async "@hono/session"() {
    const { Hono } = await import("hono");
    const { useSession } = await import("@hono/session");
    const app = new Hono();
    app.use(useSession({ secret }));
    app.get("/", async (context) => {
      await context.var.session.update({ userId: "u-1" });
      return context.text("");
    });
    const response = await app.request("/");
    const settings = { secret, user_id: "/userId" };
    return { kind: "hono-session", cookie: pairs(response.headers.getSetCookie()), settings };
  },
  async hono() {
    const { Hono } = await import("hono");
    const { setSignedCookie } = await import("hono/cookie");
    const app = new Hono();
    app.get("/", async (context) => {
      await setSignedCookie(context, "user", "u-1", secret);
      return context.text("");
    });
    const response = await app.request("/");
    const settings = { cookie: "user", format: "hono", secret };
    return { kind: "signed-cookie", cookie: pairs(response.headers.getSetCookie()), settings };
  },
  async "cookie-parser"() {
    const { default: express } = await import("express");
    const { default: cookieParser } = await import("cookie-parser");
    const app = express();
    app.use(cookieParser(secret));
    app.get("/", (_, response) => response.cookie("auth", { userId: "u-1" }, { signed: true }).send(""));
    const settings = { cookie: "auth", secret, user_id: "/userId" };
    return { kind: "signed-cookie", cookie: await answered(app), settings };
  },
  async "@hapi/yar"() {
    const { server } = await import("@hapi/hapi");
    const { default: yar } = await import("@hapi/yar");
    const app = server();
    await app.register({ plugin: yar, options: { cookieOptions: { password: secret, isSecure: false } } });
    app.route({
      method: "GET",
      path: "/",
      handler(request) {
        request.yar.set("user", { id: "u-1" });
        return "";
      },
    });
    const response = await app.inject("/");
    const cookie = pairs([response.headers["set-cookie"]].flat());
    return { kind: "yar", cookie, settings: { secret, user_id: "/user/id" } };
  },
  async jose() {
    const { SignJWT } = await import("jose");
    const token = new SignJWT({}).setProtectedHeader({ alg: "HS256" }).setSubject("u-1").setExpirationTime("1h");
    const signed = await token.sign(new TextEncoder().encode(secret));
    return { kind: "jwt", cookie: `token=${signed}`, settings: { cookie: "token", secret } };
  },
  async jsonwebtoken() {
    const { default: jwt } = await import("jsonwebtoken");
    const signed = jwt.sign({}, secret, { subject: "u-1", expiresIn: "1h" });
    return { kind: "jwt", cookie: `token=${signed}`, settings: { cookie: "token", secret } };
  },
};

/** Kinds and libraries that need more than npm and PyPI: tests/interop, tests/store and the vectors check them. */
const unchecked = [
  { kind: "rails", library: "Rails", needs: "Ruby" },
  { kind: "laravel", library: "Laravel", needs: "PHP" },
  { kind: "lookup", library: "PHP, Symfony, Drupal", needs: "PHP" },
  { kind: "plug", library: "Phoenix", needs: "Elixir" },
  { kind: "firebase", library: "firebase-admin", needs: "Google's servers, which sign its cookies" },
  { kind: "iron-session", library: "WorkOS AuthKit", needs: "a sign-in at WorkOS" },
  { kind: "express-session", library: "connect-pg-simple", needs: "PostgreSQL" },
  { kind: "better-auth", library: "Prisma", needs: "its engines, which an install script fetches" },
];

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [library, make] of Object.entries(recipes)) {
    const row = { library, user: "u-1" };
    try {
      Object.assign(row, { version: version(library) }, await make());
    } catch (error) {
      row.error = String(error.message ?? error);
    }
    console.log(JSON.stringify(row));
  }
  for (const row of unchecked) console.log(JSON.stringify(row));
  process.exit();
}
