// More of the vendors' browser clients in Chromium: each takes what the gateway answers and shows it to its vendor.
//
// The clients call their vendors' own hosts, in whose place `vendors/elsewhere.mjs` answers. `clients.test.mjs` has those that ask the
// gateway by themselves.
//
// Not here, of the presets whose answer is for a browser:
// ChatKit, Plaid, Stripe, Sumsub, Autodesk     the npm package loads the client from the vendor's own servers, which are not here
// Azure OpenAI, xAI, Gladia, Tavus             no client on npm that takes the answer: a socket or a frame opens the address
// Agora, Tencent, ZEGOCLOUD                    the client asks its vendor's servers before it looks at the token; `vendors.test.mjs` parses it
// CloudFront, Google Cloud Storage, Bunny, S3  the browser itself opens the address or sends the form; `s3.test.mjs` does

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openBrowser } from "./support/browser.mjs";
import { Elsewhere } from "./vendors/elsewhere.mjs";
import { USER, openGateway, secrets, signedIn } from "./vendors/gallery.mjs";
import { Issuer } from "./vendors/issuer.mjs";

const require = createRequire(new URL("vendors/", import.meta.url));
const { build } = require("esbuild");
const jsonwebtoken = require("jsonwebtoken");

const PAGE = "<!doctype html><meta charset=utf-8><title>takers</title><script src=/takers.js></script>";

/** A token as the vendors that make JWTs make them; only they could tell it from a real one. */
const token = (claims) => jsonwebtoken.sign({ sub: USER, ...claims }, "a key only the vendor knows", { expiresIn: 3600 });
const made = {
  acs: token({ skypeid: "acs:1" }),
  anam: token({ type: "ephemeral" }),
  braintree: Buffer.from(
    JSON.stringify({
      version: 2,
      authorizationFingerprint: "fingerprint",
      configUrl: "https://api.braintreegateway.com:443/merchants/m1/client_api/v1/configuration",
    }),
  ).toString("base64"),
  realtimekit: token({ orgId: "o1", meetingId: "m1", participantId: "p1", presetId: "x" }),
};

/** What vendors answer the gateway, by the host it asks. */
const issued = {
  "generativelanguage.googleapis.com": { name: "auth_tokens/gemini" },
  "api.openai.com": { value: "ek_openai", expires_at: 4_000_000_000 },
  "westeurope.api.cognitive.microsoft.com": "speech-token",
  "directline.botframework.com": { conversationId: "c-1", token: "dl-token", expires_in: 1800 },
  "api.soniox.com": { api_key: "temp:soniox", expires_at: "2099-01-01T00:00:00Z" },
  "mp.speechmatics.com": { key_value: "speechmatics-jwt" },
  "api.cartesia.ai": { token: "cartesia-token" },
  "api.hume.ai": { access_token: "hume-token", expires_in: 1800 },
  "api.liveavatar.com": { code: 1000, data: { session_id: "s-1", session_token: "avatar-token" } },
  "api.anam.ai": { sessionToken: made.anam },
  "api.retellai.com": { access_token: "retell-token", call_id: "call-1" },
  "rtc.live.cloudflare.com": {
    iceServers: [
      { urls: ["stun:stun.cloudflare.com:3478"] },
      { urls: ["turn:turn.cloudflare.com:3478?transport=udp"], username: "u", credential: "c" },
    ],
  },
  "api.twilio.com": {
    password: "c",
    ttl: "3600",
    ice_servers: [
      { url: "stun:global.stun.twilio.com:3478", urls: "stun:global.stun.twilio.com:3478" },
      { url: "turn:global.turn.twilio.com:3478?transport=udp", urls: "turn:global.turn.twilio.com:3478?transport=udp", username: "u", credential: "c" },
    ],
  },
  "api.cloudflare.com": { success: true, data: { id: "p-1", token: made.realtimekit } },
  "login.microsoftonline.com": { access_token: "entra-token", expires_in: 3599 },
  "api.powerbi.com": { token: "power-bi-token", tokenId: "t", expiration: "2099-01-01T00:00:00Z" },
  "api.nango.dev": { data: { token: "nango_connect_session_1", expires_at: "2099-01-01T00:00:00Z" } },
  "payments.braintree-api.com": { data: { createClientToken: { clientToken: made.braintree } } },
  "your-resource.communication.azure.com": { token: made.acs, expiresOn: "2099-01-01T00:00:00Z" },
};

/** The page Superset would embed: it tells what its embedder hands it. */
const DASHBOARD = `<!doctype html><script>
addEventListener("message", ({ data, ports }) => {
  if (data.type !== "__embedded_comms__") return;
  ports[0].onmessage = ({ data }) => fetch("/got", { method: "POST", body: JSON.stringify(data) });
});
</script>`;

const elsewhere = new Elsewhere({
  requests: {
    "directline.botframework.com": ({ path }) =>
      path.endsWith("/conversations") ? { status: 201, body: { conversationId: "c-1", token: "dl-token", expires_in: 1800 } } : { body: { activities: [], watermark: "0" } },
    "tts-rt.soniox.com": () => ({ type: "audio/mpeg", body: "audio" }),
    "api.cartesia.ai": () => ({ body: { data: [], has_more: false } }),
    "superset.example.com": ({ path }) => (path === "/got" ? { body: {} } : { type: "text/html", body: DASHBOARD }),
    "app.powerbi.com": () => ({ type: "text/html", body: "<!doctype html>report" }),
    "api.braintreegateway.com": () => ({ body: { merchantId: "m1", environment: "production", clientApiUrl: "https://api.braintreegateway.com:443/merchants/m1/client_api", analytics: {} } }),
    "youraccount.blob.core.windows.net": () => ({ type: "text/plain", body: "a file" }),
  },
  greetings: {
    "your-name.webpubsub.azure.com": () => ({ type: "system", event: "connected", userId: USER, connectionId: "c-1" }),
    "api.hume.ai": () => ({ type: "chat_metadata", chat_id: "c", chat_group_id: "g" }),
  },
  replies: {
    "generativelanguage.googleapis.com": () => ({ setupComplete: {} }),
    "eu2.rt.speechmatics.com": () => ({ message: "RecognitionStarted", id: "r-1", orchestrator_version: "1" }),
  },
});

let app, gateway, issuer, browser, context, page;

before(async () => {
  const script = await bundle();
  app = createServer({ keepAliveTimeout: 600_000 }, ({ url }, response) => {
    const [type, body] = url === "/takers.js" ? ["text/javascript", script] : ["text/html", PAGE];
    response.writeHead(200, { "Content-Type": type }).end(body);
  }).listen(0, "127.0.0.1");
  await once(app, "listening");
  issuer = await Issuer.open();
  issuer.answer = ({ path }) => issued[path.split("/")[1]];
  gateway = await openGateway({ app: `http://127.0.0.1:${app.address().port}`, issuer: issuer.url });
  ({ browser, context, page } = await openBrowser({ baseURL: gateway.url }));
  await elsewhere.open(context, gateway.url, app);
  await page.goto("/");
  const cookie = await signedIn();
  const [name, value] = [cookie.slice(0, cookie.indexOf("=")), cookie.slice(cookie.indexOf("=") + 1)];
  gateway.keepSecret(value);
  await context.addCookies([{ name, value, url: gateway.url, httpOnly: true, sameSite: "Lax" }]);
}, { timeout: 240_000 });

after(async () => {
  gateway?.kill();
  elsewhere.close();
  app?.closeAllConnections();
  [app, issuer].forEach((server) => server?.close());
  await browser?.close();
}, { timeout: 240_000 });

async function bundle() {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("vendors/page.mjs", import.meta.url))],
    bundle: true,
    format: "iife",
    minify: true,
    // What some of them expect of a page that other bundlers made.
    define: { global: "globalThis", "process.env.NODE_ENV": '"production"' },
    loader: { ".css": "empty" },
    logLevel: "error",
    write: false,
  });
  return outputFiles[0].text;
}

function take(name, ...given) {
  return page.evaluate(([name, given]) => globalThis.clients[name](...given), [name, given]);
}

const promise = (sentence, work) => test(sentence, { timeout: 240_000 }, work);
const bearer = ({ headers }) => headers.authorization?.replace(/^Bearer /, "");

/** Clients that show the token to a host, and where it must stand there. */
const shown = {
  "gemini-live": ["generativelanguage.googleapis.com", ({ query }) => query.access_token, "auth_tokens/gemini"],
  openai: ["api.openai.com", ({ protocols }) => protocols.find((one) => one.includes("key")), "openai-insecure-api-key.ek_openai"],
  "azure-speech": ["westeurope.tts.speech.microsoft.com", ({ query }) => query.Authorization, "Bearer speech-token"],
  "direct-line": ["directline.botframework.com", bearer, "dl-token"],
  soniox: ["tts-rt.soniox.com", bearer, "temp:soniox"],
  speechmatics: ["eu2.rt.speechmatics.com", ({ query }) => query.jwt, "speechmatics-jwt"],
  cartesia: ["api.cartesia.ai", bearer, "cartesia-token"],
  hume: ["api.hume.ai", ({ query }) => query.access_token ?? query.accessToken, "hume-token"],
  liveavatar: ["api.liveavatar.com", bearer, "avatar-token"],
  anam: ["api.anam.ai/v1/engine/session", bearer, made.anam],
  retell: ["retell-ai-4ihahnq7.livekit.cloud", ({ query, headers }) => query.access_token ?? bearer({ headers }), "retell-token"],
  "cloudflare-realtimekit": ["api.realtime.cloudflare.com", bearer, made.realtimekit],
  nango: ["api.nango.dev", ({ query }) => query.connect_session_token, "nango_connect_session_1"],
};

for (const [name, [host, where, wanted]] of Object.entries(shown)) {
  promise(`${name}: the vendor's client shows the token to ${host}`, async () => {
    await take(name);
    const asked = await elsewhere.of(host);
    assert.equal(where(asked), wanted, JSON.stringify(asked));
  });
}

promise("direct-line: the client begins the conversation that the token is for", async () => {
  assert.equal(await take("direct-line"), "c-1");
});

promise("web-pubsub: the client connects to the address, as who is signed in", async () => {
  assert.equal(await take("web-pubsub"), USER);
  const { path, query } = await elsewhere.of("your-name.webpubsub.azure.com");
  assert.equal(path, "/client/hubs/chat");
  assert.equal(jsonwebtoken.verify(query.access_token, secrets.WEB_PUBSUB_KEY).sub, USER);
});

promise("superset: the embedder hands the token to the dashboard", async () => {
  await take("superset");
  const [handed] = (await elsewhere.of("superset.example.com/got")).text.match(/eyJ[\w.-]+/);
  const audience = "https://superset.example.com";
  assert.equal(jsonwebtoken.verify(handed, secrets.SUPERSET_GUEST_SECRET, { audience }).user.username, USER);
});

promise("tableau: the embedded view signs in with the token", async () => {
  await take("tableau");
  const { jwt } = JSON.parse((await elsewhere.of("tableau.example.com/vizportal/api/web/v1/auth/embed/signin")).text);
  assert.equal(jsonwebtoken.verify(jwt, secrets.TABLEAU_SECRET, { audience: "tableau" }).sub, "ada@example.com");
});

promise("power-bi: the client takes token, report and kind as valid", async () => {
  assert.equal(await take("power-bi"), "valid");
  assert.equal((await elsewhere.of("app.powerbi.com")).query.reportId, "your-report-id");
});

promise("braintree: the client reads the token, and asks where it says", async () => {
  assert.equal(await take("braintree"), "m1");
});

promise("azure-communication: the client reads the token's end", async () => {
  const { token, expiresOnTimestamp } = await take("azure-communication");
  assert.equal(token, made.acs);
  assert.equal(expiresOnTimestamp, jsonwebtoken.decode(made.acs).exp * 1000);
});

promise("azure-blob: the client reads the file at the address", async () => {
  assert.equal(await take("azure-blob"), "a file");
  const { query } = await elsewhere.of("youraccount.blob.core.windows.net");
  assert.ok(query.sig && query.sp === "r");
});

promise("videosdk: the client joins the room with the token", async () => {
  await take("videosdk");
  const asked = await elsewhere.of("api.videosdk.live");
  assert.equal(jsonwebtoken.verify(asked.headers.authorization, secrets.VIDEOSDK_SECRET).participantId, USER);
});

promise("hms: the client reads room and role in the token, and shows it", async () => {
  await take("hms");
  const asked = await elsewhere.of("prod-init.100ms.live");
  assert.equal(jsonwebtoken.verify(bearer(asked), secrets.HMS_SECRET).role, "guest");
});

for (const [name, path, url] of [
  ["turn", "/api/turn-credentials", "turn:turn.example.com:3478"],
  ["cloudflare-turn", "/api/cloudflare-ice-servers", "turn:turn.cloudflare.com:3478?transport=udp"],
  ["twilio-turn", "/api/twilio-ice-servers", "turn:global.turn.twilio.com:3478?transport=udp"],
]) {
  promise(`${name}: Chromium takes the servers`, async () => {
    const servers = await take("ice", path);
    const { username, credential } = servers.find(({ urls }) => urls.includes(url));
    assert.ok(username && credential);
  });
}

promise("the gateway stops when asked, and printed no key, cookie or token", async () => {
  // Some clients would hold their sockets for as long as the page is there.
  await context.close();
  await gateway.stop();
});
