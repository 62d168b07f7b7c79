// The vendors' browser clients in Chromium, told to fetch their tokens from the gateway as their documentation says.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser } from "./support/browser.mjs";
import { USER, openGateway, secrets, signedIn } from "./vendors/gallery.mjs";
import { Issuer } from "./vendors/issuer.mjs";
import { verified } from "./vendors/jose.mjs";
import { StandIn, liveblocksToken } from "./vendors/standin.mjs";

let standIn, issuer, gateway, browser, context, page;

before(async () => {
  standIn = await StandIn.open();
  issuer = await Issuer.open();
  issuer.answer = liveblocksToken;
  gateway = await openGateway({ app: standIn.url, issuer: issuer.url });
  ({ browser, context, page } = await openBrowser({ baseURL: gateway.url }));
  await page.goto("/");
  await signIn(USER);
}, { timeout: 240_000 });

after(async () => {
  gateway?.kill();
  [standIn, issuer].forEach((server) => server?.close());
  await browser?.close();
}, { timeout: 240_000 });

const promise = (sentence, work) => test(sentence, { timeout: 240_000 }, work);

promise("LiveKit's TokenSource.endpoint gets a token for the room asked for, as who is signed in", async () => {
  const { serverUrl, participantToken } = await client("livekit", "acme:standup");
  assert.equal(serverUrl, "wss://your-project.livekit.cloud");
  const { payload } = await verified(participantToken, { algorithm: "HS256", key: secrets.LIVEKIT_API_SECRET });
  assert.equal(payload.sub, USER, "what the browser says it is called is ignored");
  assert.equal(payload.video.room, "acme:standup");
});

promise("LiveKit's TokenSource.endpoint is refused a room of another organisation", async () => {
  assert.match((await client("livekit", "rival-standup")).refused, /received 403/);
});

for (const method of ["GET", "POST"]) {
  promise(`Ably's authUrl gets a JWT with ${method}, and the client publishes with it`, async () => {
    const { token } = await client("ably", "/api/ably-token", method);
    const { payload } = await verified(token, { algorithm: "HS256", key: secrets.ABLY_API_KEY.split(":")[1] });
    assert.equal(payload["x-ably-clientId"], USER);
    assert.equal(standIn.published.at(-1).token, token);
  });

  promise(`Ably's authUrl gets a request for a token with ${method}, which Ably takes every time`, async () => {
    const first = await client("ably", "/api/ably-token-request", method);
    assert.deepEqual(first, { token: `${secrets.ABLY_API_KEY.split(":")[0]}.issued`, clientId: USER });
    assert.deepEqual(await client("ably", "/api/ably-token-request", method), first);
  });
}

promise("pusher-js joins the user's own channel and a presence channel as who is signed in", async () => {
  assert.equal(await client("pusher", `private-user-${USER}`), "subscribed");
  assert.equal(await client("pusher", "presence-acme_lobby"), USER);
});

promise("pusher-js is refused another user's channel with the status it reports", async () => {
  assert.equal((await client("pusher", "private-user-somebody-else")).statusCode, 403);
});

promise("pusher-js decrypts an event of an encrypted channel, which its servers could not read", async () => {
  assert.deepEqual(await client("pusherEncrypted", "private-encrypted-acme_plans"), { text: "for acme alone" });
  assert.ok(standIn.triggered.length > 0 && !standIn.triggered.some((text) => text.includes("acme alone")));
  assert.equal((await client("pusherEncrypted", "private-encrypted-rival_plans")).statusCode, 403);
});

promise("pusher-js signs in as who is signed in", async () => {
  assert.deepEqual(await client("pusherUser"), { id: USER, user_info: { name: "Ada Lovelace" } });
});

promise("CKEditor takes the token as text and plans to come back after half of its life", async () => {
  const { token, refresh } = await client("ckeditor");
  const { payload } = await verified(token, { algorithm: "HS256", key: secrets.CKEDITOR_ACCESS_KEY });
  assert.equal(payload.sub, USER);
  assert.ok(Math.abs(refresh / 1000 - 12 * 3600) < 60, `it comes back after ${refresh / 1000} s`);
});

promise("CKEditor reads the life of a token that holds names of any script", async () => {
  await signIn(USER, { name: "Zoë 李小龍 >?~ÿþ" });
  const { refresh } = await client("ckeditor");
  assert.ok(Math.abs(refresh / 1000 - 12 * 3600) < 60, `it comes back after ${refresh / 1000} s`);
  await signIn(USER);
});

for (const endpoint of ["/api/liveblocks-auth", "/api/liveblocks-identify"]) {
  promise(`Liveblocks' client enters a room with ${endpoint}, again and again`, async () => {
    const { status } = await client("liveblocks", endpoint, "acme:board");
    assert.equal(status, "connected");
    assert.equal((await client("liveblocks", endpoint, "acme:board")).status, "connected");
    // A client gives up for good on a token it has seen before.
    const tokens = await page.evaluate(async (endpoint) => {
      const ask = async () => (await (await fetch(endpoint, { method: "POST" })).json()).token;
      return [await ask(), await ask()];
    }, endpoint);
    assert.notEqual(tokens[0], tokens[1]);
    assert.ok(issuer.taken().every((asked) => asked.body.userId === USER));
  });
}

promise("after signing out each client is told so in its own way", async () => {
  await context.clearCookies();
  assert.match((await client("livekit", "acme:standup")).refused, /received 401/);
  assert.equal((await client("ably", "/api/ably-token", "GET")).statusCode, 401);
  assert.equal((await client("pusher", "presence-acme_lobby")).statusCode, 401);
  assert.match((await client("ckeditor")).refused, /token-cannot-download-new-token/);
  assert.equal((await client("liveblocks", "/api/liveblocks-auth", "acme:board")).refused, "disconnected");
});

promise("the gateway stops when asked, and printed no key, cookie or token", () => gateway.stop());

async function client(name, ...given) {
  const found = await page.evaluate(([name, given]) => globalThis.clients[name](...given), [name, given]);
  gateway.keepSecret(...[found.token, found.participantToken].filter((token) => token?.startsWith("eyJ")));
  return found;
}

async function signIn(user, claims) {
  const cookie = await signedIn(user, claims);
  const [name, value] = [cookie.slice(0, cookie.indexOf("=")), cookie.slice(cookie.indexOf("=") + 1)];
  gateway.keepSecret(value);
  await context.addCookies([{ name, value, url: gateway.url, httpOnly: true, sameSite: "Lax" }]);
}
