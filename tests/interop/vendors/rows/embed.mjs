// More presets whose token is a JWT: rooms, hubs and dashboards.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import jsonwebtoken from "jsonwebtoken";
import { USER, secrets } from "../gallery.mjs";

const require = createRequire(import.meta.url);
const { WebPubSubServiceClient } = require("@azure/web-pubsub");
const HMS = require("@100mslive/server-sdk");
const { VideoSDK } = require("@videosdk.live/server-sdk");
const { getGuestTokenRefreshTiming } = require("@superset-ui/embedded-sdk/lib/guestTokenRefresh.js");

const HOUR = 3600;
const shared = (name) => ({ algorithm: "HS256", key: secrets[name] });

const HUB = "your-name.webpubsub.azure.com/client/hubs/chat";

export const rows = {
  videosdk: {
    ...shared("VIDEOSDK_SECRET"),
    ask: { query: "?room=acme_standup" },
    at: "token",
    life: HOUR,
    claims: {
      apikey: "your-api-key",
      permissions: ["allow_join"],
      version: 2,
      roomId: "acme_standup",
      participantId: USER,
      roles: ["rtc"],
    },
    async says({ claims }) {
      const client = new VideoSDK({ apiKey: "your-api-key", secret: secrets.VIDEOSDK_SECRET });
      const builder = client.accessToken().setParticipant(USER).grant("allow_join").forRoom("acme_standup");
      const twin = await builder.expiresIn("1h").toJwt();
      const { iat, exp, ...others } = jsonwebtoken.verify(twin, secrets.VIDEOSDK_SECRET);
      const { iat: _, exp: __, ...ours } = claims;
      assert.deepEqual(ours, others);
    },
  },
  hms: {
    ...shared("HMS_SECRET"),
    ask: { query: "?room_id=room1" },
    at: "token",
    life: 24 * HOUR,
    claims: { access_key: "your-access-key", room_id: "room1", user_id: USER, role: "guest", type: "app", version: 2 },
    async says({ token }) {
      const sdk = new HMS.SDK("your-access-key", secrets.HMS_SECRET);
      const { token: twin } = await sdk.auth.getAuthToken({ roomId: "room1", userId: USER, role: "guest" });
      const members = (token) => Object.keys(jsonwebtoken.verify(token, secrets.HMS_SECRET)).sort();
      assert.deepEqual(members(token), members(twin));
    },
  },
  "web-pubsub": {
    ...shared("WEB_PUBSUB_KEY"),
    audience: `https://${HUB}`,
    find({ url }) {
      const [address, token] = url.split("?access_token=");
      assert.equal(address, `wss://${HUB}`);
      return token;
    },
    life: HOUR,
    claims: { aud: `https://${HUB}`, sub: USER, "webpubsub.group": ["org:acme"] },
    async says({ claims }) {
      const endpoint = `Endpoint=https://your-name.webpubsub.azure.com;AccessKey=${secrets.WEB_PUBSUB_KEY};Version=1.0;`;
      const client = new WebPubSubServiceClient(endpoint, "chat");
      const groups = ["org:acme"];
      const { baseUrl, token } = await client.getClientAccessToken({ userId: USER, groups, expirationTimeInMinutes: 60 });
      assert.equal(baseUrl, `wss://${HUB}`);
      const { iat, exp, ...twin } = jsonwebtoken.verify(token, secrets.WEB_PUBSUB_KEY);
      const { iat: _, exp: __, ...ours } = claims;
      assert.deepEqual(ours, twin);
    },
  },
  tableau: {
    ...shared("TABLEAU_SECRET"),
    audience: "tableau",
    issuer: "your-client-id",
    at: "token",
    life: 300,
    header: { kid: "your-secret-id", iss: "your-client-id" },
    claims: { iss: "your-client-id", sub: "ada@example.com", aud: "tableau", scp: ["tableau:views:embed"] },
  },
  superset: {
    ...shared("SUPERSET_GUEST_SECRET"),
    audience: "https://superset.example.com",
    at: "token",
    life: 300,
    claims: {
      user: { username: USER },
      resources: [{ type: "dashboard", id: "your-dashboard-uuid" }],
      rls_rules: [{ clause: "org_id = 'acme'" }],
      aud: "https://superset.example.com",
      type: "guest",
    },
    async says({ token, claims, python }) {
      const guest = { token, key: secrets.SUPERSET_GUEST_SECRET, audience: "https://superset.example.com" };
      assert.deepEqual(await python.claims("superset", guest), claims);
      await assert.rejects(python.claims("superset", { ...guest, audience: "https://other.example.com" }), /audience/i);
      // Its client comes back for a new token five seconds before the end, in milliseconds.
      const wait = getGuestTokenRefreshTiming(token);
      assert.ok(Math.abs(wait - 295_000) < 5_000, `${wait} ms`);
    },
  },
};
