// Apps that sign a session anew at each request, as a sliding session does: `node app.mjs KIND`.
//
//   GET /sign-in?user=ID   begins a session
//   GET /poll              says whose session it is, and sets it again
//   POST /sign-out         ends it
//
// next-auth, Auth.js and better-auth have pages of their own for this, which their clients poll.

import { createHmac, hkdfSync, pbkdf2Sync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import express from "express";

const { SECRET } = process.env;

/** What each kind's app does, as a listener for Node's HTTP server. */
const apps = {
  async auth0() {
    const { EncryptJWT, jwtDecrypt } = await import("jose");
    const key = new Uint8Array(hkdfSync("sha256", SECRET, "", "JWE CEK", 32));
    const seal = (user) =>
      new EncryptJWT({ user: { sub: user }, internal: { sid: user, createdAt: seconds() } })
        .setProtectedHeader({ enc: "A256GCM", alg: "dir" })
        .setIssuedAt()
        .setExpirationTime("1h")
        .encrypt(key);
    return inCookie("__session", seal, async (value) => (await jwtDecrypt(value, key)).payload.user.sub);
  },

  async authjs() {
    const { Auth } = await import("@auth/core");
    const { default: Credentials } = await import("@auth/core/providers/credentials");
    const config = { secret: SECRET, trustHost: true, basePath: "/api/auth", providers: [anybody(Credentials)] };
    return async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = chunks.length > 0 ? Buffer.concat(chunks) : undefined;
      const url = new URL(request.url, `http://${request.headers.host}`);
      const answer = await Auth(new Request(url, { method: request.method, headers: request.headers, body }), config);
      const headers = Object.fromEntries(answer.headers);
      response.writeHead(answer.status, { ...headers, "set-cookie": answer.headers.getSetCookie() });
      response.end(await answer.text());
    };
  },

  async "better-auth"() {
    const { betterAuth } = await import("better-auth");
    const { memoryAdapter } = await import("better-auth/adapters/memory");
    const { toNodeHandler } = await import("better-auth/node");
    const tables = { user: [], session: [], account: [], verification: [] };
    return toNodeHandler(
      betterAuth({
        baseURL: process.env.PUBLIC_URL,
        secret: SECRET,
        database: memoryAdapter(tables),
        emailAndPassword: { enabled: true },
        // Each look at the session renews it.
        session: { updateAge: 0, cookieCache: { enabled: true, maxAge: 300 } },
        rateLimit: { enabled: false },
        telemetry: { enabled: false },
        logger: { disabled: true },
      }),
    );
  },

  async "cookie-session"() {
    const { default: session } = await import("cookie-session");
    return inExpress(session({ name: "session", keys: [SECRET] }), { user: "user", end: (it) => (it.session = null) });
  },

  async "express-session"() {
    const { default: session } = await import("express-session");
    const { RedisStore } = await import("connect-redis");
    const { createClient } = await import("redis");
    const client = createClient({ url: process.env.REDIS_URL });
    await client.connect();
    const settings = { store: new RedisStore({ client }), secret: SECRET, resave: true, rolling: true };
    return inExpress(session({ ...settings, saveUninitialized: false }), {
      user: "user",
      end: (it) => it.session.destroy(() => {}),
    });
  },

  async "fastify-secure-session"() {
    const { default: fastify } = await import("fastify");
    const { default: session } = await import("@fastify/secure-session");
    const app = fastify();
    const key = Buffer.from(SECRET, "base64");
    await app.register(session, { key, cookieName: "session", expiry: 3600, cookie: { path: "/" } });
    app.get("/sign-in", async (request) => {
      request.session.set("user", request.query.user);
      return {};
    });
    app.get("/poll", async (request) => {
      const user = request.session.get("user");
      if (user) request.session.set("seen", Date.now());
      return { user: user ?? null };
    });
    app.post("/sign-out", async (request) => {
      request.session.delete();
      return {};
    });
    await app.ready();
    return (request, response) => app.routing(request, response);
  },

  async "h3-session"() {
    const { clearSession, createApp, createRouter, defineEventHandler, getQuery, toNodeListener, useSession } =
      await import("h3-1");
    const settings = { password: SECRET, name: "nuxt-session", cookie: { secure: false } };
    const router = createRouter()
      .get("/sign-in", defineEventHandler(async (event) => {
        const session = await useSession(event, settings);
        await session.update({ user: { id: getQuery(event).user } });
        return {};
      }))
      .get("/poll", defineEventHandler(async (event) => {
        const session = await useSession(event, settings);
        if (session.data.user) await session.update({ seen: Date.now() });
        return { user: session.data.user?.id ?? null };
      }))
      .post("/sign-out", defineEventHandler(async (event) => {
        await clearSession(event, settings);
        return {};
      }));
    return toNodeListener(createApp().use(router));
  },

  async introspect() {
    // Each request gets another id; the old one is good until the end.
    const users = new Map();
    const begin = (user) => {
      const id = randomUUID();
      users.set(id, user);
      return id;
    };
    return inCookie("sid", begin, (id) => users.get(id) ?? null);
  },

  async "iron-session"() {
    const { getIronSession } = await import("iron-session");
    const app = express();
    app.use(async (request, response, next) => {
      const settings = { password: SECRET, cookieName: "shop_session", cookieOptions: { secure: false } };
      request.session = await getIronSession(request, response, settings);
      next();
    });
    app.get("/sign-in", async (request, response) => {
      request.session.user = request.query.user;
      await request.session.save();
      response.json({});
    });
    app.get("/poll", async (request, response) => {
      const { user } = request.session;
      if (user) await request.session.save();
      response.json({ user: user ?? null });
    });
    app.post("/sign-out", (request, response) => {
      request.session.destroy();
      response.json({});
    });
    return app;
  },

  async jwt() {
    const { SignJWT, jwtVerify } = await import("jose");
    const key = new TextEncoder().encode(SECRET);
    const seal = (user) =>
      new SignJWT({ sub: user, jti: randomUUID() })
        .setProtectedHeader({ alg: "HS256" })
        .setIssuedAt()
        .setExpirationTime("1h")
        .sign(key);
    return inCookie("session", seal, async (value) => (await jwtVerify(value, key)).payload.sub);
  },

  async "koa-session"() {
    const { default: Koa } = await import("koa");
    const { default: session, createSession } = await import("koa-session");
    const app = new Koa();
    app.keys = [SECRET];
    const settings = { key: "koa.sess", rolling: true, maxAge: 3_600_000 };
    app.use((createSession ?? session)(settings, app));
    app.use((context) => {
      context.body = {};
      if (context.path === "/sign-in") context.session.user = { id: context.query.user };
      else if (context.path === "/poll") context.body = { user: context.session.user?.id ?? null };
      else if (context.path === "/sign-out") context.session = null;
    });
    return app.callback();
  },

  async lookup() {
    const { createClient } = await import("redis");
    const client = createClient({ url: process.env.REDIS_URL });
    await client.connect();
    const begin = async (user) => {
      const id = randomUUID();
      await client.set(`shop:${id}`, JSON.stringify({ user_id: user }));
      return id;
    };
    const whose = async (id) => JSON.parse((await client.get(`shop:${id}`)) ?? "{}").user_id ?? null;
    return inCookie("sid", begin, whose);
  },

  async "next-auth"() {
    const { default: NextAuth } = await import("next-auth");
    const { default: Credentials } = await import("next-auth/providers/credentials");
    const app = express();
    app.use(express.urlencoded({ extended: false }));
    app.use("/api/auth", (request, response) => {
      const nextauth = request.path.split("/").filter(Boolean);
      const { cookies } = parsed(request);
      // As Next.js gives them to an API route.
      const query = { ...request.query, nextauth };
      const asked = Object.create(request, { cookies: { value: cookies }, query: { value: query } });
      const providers = [anybody(Credentials.default ?? Credentials)];
      return (NextAuth.default ?? NextAuth)(asked, response, { secret: SECRET, providers });
    });
    return app;
  },

  async plug() {
    const key = pbkdf2Sync(SECRET, "salt", 1000, 32, "sha256");
    const text = (value) => Buffer.concat([Buffer.from([109, 0, 0, 0, Buffer.byteLength(value)]), Buffer.from(value)]);
    const seal = (user) => {
      const entries = [text("seen"), text(String(Date.now())), text("user_id"), text(user)];
      const term = Buffer.concat([Buffer.from([131, 116, 0, 0, 0, 2]), ...entries]);
      const payload = `SFMyNTY.${term.toString("base64url")}`;
      return `${payload}.${createHmac("sha256", key).update(payload).digest("base64url")}`;
    };
    const open = (value) => {
      const [start, term, mac] = value.split(".");
      const right = createHmac("sha256", key).update(`${start}.${term}`).digest("base64url");
      if (mac !== right) return null;
      return Buffer.from(term, "base64url").toString("latin1").split("user_idm\0\0\0")[1].slice(1);
    };
    return inCookie("_shop_key", seal, open);
  },

  async "react-router"() {
    const { createCookieSessionStorage } = await import("react-router");
    const cookie = { name: "__session", secrets: [SECRET], path: "/", maxAge: 3600 };
    const storage = createCookieSessionStorage({ cookie });
    const app = express();
    app.use(async (request, response) => {
      const session = await storage.getSession(request.headers.cookie);
      if (request.path === "/sign-in") session.set("user", request.query.user);
      const user = session.get("user") ?? null;
      if (request.path === "/poll" && user) session.set("seen", Date.now());
      const ends = request.path === "/sign-out";
      if (user) response.append("Set-Cookie", await storage[ends ? "destroySession" : "commitSession"](session));
      response.json({ user });
    });
    return app;
  },

  async supabase() {
    const { SignJWT, decodeJwt } = await import("jose");
    const key = new TextEncoder().encode(SECRET);
    const seal = async (user) => {
      const token = await new SignJWT({ sub: user, role: "authenticated", session_id: randomUUID() })
        .setProtectedHeader({ alg: "HS256", typ: "JWT" })
        .setIssuer("https://abcdefghijklmnopqrst.supabase.co/auth/v1")
        .setAudience("authenticated")
        .setIssuedAt()
        .setExpirationTime("1h")
        .sign(key);
      const session = { access_token: token, refresh_token: randomUUID(), token_type: "bearer", user: { id: user } };
      return `base64-${Buffer.from(JSON.stringify(session)).toString("base64url")}`;
    };
    const open = (value) =>
      decodeJwt(JSON.parse(Buffer.from(value.slice("base64-".length), "base64url")).access_token).sub;
    return inCookie("sb-abcdefghijklmnopqrst-auth-token", seal, open);
  },

  async yar() {
    const { default: Hapi } = await import("@hapi/hapi");
    const { default: Yar } = await import("@hapi/yar");
    const app = Hapi.server({ host: "127.0.0.1", port: 0 });
    const cookieOptions = { password: SECRET, isSecure: false };
    await app.register({ plugin: Yar, options: { name: "session", cookieOptions, maxCookieSize: 1024 } });
    app.route([
      { method: "GET", path: "/sign-in", handler: ({ yar, query }) => (yar.set("user", { id: query.user }), {}) },
      { method: "GET", path: "/poll", handler: ({ yar }) => {
        const user = yar.get("user")?.id ?? null;
        if (user) yar.set("seen", Date.now());
        return { user };
      } },
      { method: "POST", path: "/sign-out", handler: ({ yar }) => (yar.reset(), {}) },
    ]);
    await app.start();
    console.log(`listening on ${app.info.uri}`);
  },
};

/** Signs in whoever says a name. */
function anybody(Credentials) {
  return Credentials({
    credentials: { username: {} },
    authorize: ({ username }) => ({ id: username, name: username, email: `${username}@example.com` }),
  });
}

/** An app on Express whose session is `request.session`. */
function inExpress(session, { user, end }) {
  const app = express();
  app.use(session);
  app.get("/sign-in", (request, response) => {
    request.session[user] = request.query.user;
    response.json({});
  });
  app.get("/poll", (request, response) => {
    const who = request.session?.[user] ?? null;
    // What a visitor without a session has seen is nobody's.
    if (who) request.session.seen = Date.now();
    response.json({ user: who });
  });
  app.post("/sign-out", (request, response) => {
    end(request);
    response.json({});
  });
  return app;
}

/** An app whose session is one cookie, made by `seal` and read by `open`. */
function inCookie(name, seal, open) {
  const app = express();
  const set = (response, value) => response.append("Set-Cookie", `${name}=${value}; Path=/; HttpOnly`);
  app.use(async (request, response) => {
    const sent = parsed(request).cookies[name];
    const known = sent ? await open(sent) : null;
    const user = request.path === "/sign-in" ? request.query.user : known;
    if (request.path === "/sign-out") set(response, "; Max-Age=0");
    else if (user) set(response, await seal(user));
    const header = request.headers.cookie ?? "";
    // What `kind = "introspect"` asks.
    if (request.path === "/me") return response.status(known ? 200 : 401).json({ user: { id: known }, header });
    response.json({ user });
  });
  return app;
}

function parsed(request) {
  const pairs = (request.headers.cookie ?? "").split("; ").filter(Boolean).map((pair) => {
    const at = pair.indexOf("=");
    return [pair.slice(0, at), decodeURIComponent(pair.slice(at + 1))];
  });
  return { cookies: Object.fromEntries(pairs) };
}

function seconds() {
  return Math.floor(Date.now() / 1000);
}

const listener = await apps[process.argv[2]]();
if (listener) {
  const server = createServer({ keepAliveTimeout: 600_000 }, listener);
  server.listen(0, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
}
