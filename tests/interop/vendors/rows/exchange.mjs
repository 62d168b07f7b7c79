// Presets whose token the vendor makes: what the stand-in answers, and what it must have been asked.
//
// Where the vendor has a server library, that library asks the stand-in too, and both must have said the same.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { USER } from "../gallery.mjs";

const { Liveblocks } = createRequire(import.meta.url)("@liveblocks/node");

const bearer = (key) => ({ authorization: `Bearer ${key}` });
const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;

/** What was asked, with only the headers named. */
function essence({ method, path, query, headers, body }, ...names) {
  return { method, path, query, body, ...Object.fromEntries(names.map((name) => [name, headers[name]])) };
}

/** A row whose vendor has no library that could ask the stand-in. */
function row({ ask, answers, asks, gives }) {
  return {
    ask,
    answers,
    says({ asked, body, secrets }) {
      const { headers = () => ({}), method = "POST", query = {}, ...others } = asks;
      const expected = { method, path: others.path, query, body: null, ...headers(secrets) };
      if (others.body) expected.body = others.body(asked.body, secrets);
      if (others.secretQuery) expected.query = others.secretQuery(secrets);
      assert.deepEqual(essence(asked, ...Object.keys(headers(secrets))), expected);
      assert.deepEqual(body, gives);
    },
  };
}

/** Whether a time the gateway sent is an hour away, and the time. */
function hour(time, seconds = Number(time)) {
  assert.ok(Math.abs(seconds - inAnHour()) < 30, `${time} is not an hour away`);
  return time;
}

const liveblocks = ({ issuer, secrets }) =>
  new Liveblocks({ secret: secrets.LIVEBLOCKS_SECRET_KEY, baseUrl: issuer.url });

function sameAs([twin], asked) {
  // Its library calls the host's root.
  const path = `/api.liveblocks.io${twin.path}`;
  assert.deepEqual(essence(asked, "authorization"), { ...essence(twin, "authorization"), path });
}

export const rows = {
  liveblocks: {
    sentence: "Liveblocks is asked what its own library asks",
    ask: { json: { room: "acme:board" } },
    answers: { token: "liveblocks-token" },
    async says({ asked, body, ...context }) {
      assert.deepEqual(body, { token: "liveblocks-token" });
      const session = liveblocks(context).prepareSession(USER, { userInfo: { name: "Ada Lovelace" } });
      session.allow("acme:*", ["room:write"]);
      assert.equal((await session.authorize()).status, 200);
      sameAs(context.issuer.taken(), asked);
    },
  },
  "liveblocks-identify": {
    sentence: "Liveblocks is asked what its own library asks",
    ask: { json: {} },
    answers: { token: "liveblocks-id-token" },
    async says({ asked, body, ...context }) {
      assert.deepEqual(body, { token: "liveblocks-id-token" });
      await liveblocks(context).identifyUser({ userId: USER, groupIds: ["acme"] });
      sameAs(context.issuer.taken(), asked);
    },
  },
  "daily-rest": row({
    ask: { query: "?room=acme_standup" },
    answers: { token: "daily-token" },
    asks: {
      path: "/api.daily.co/v1/meeting-tokens",
      headers: (secrets) => bearer(secrets.DAILY_API_KEY),
      body: ({ properties }) => ({
        properties: {
          room_name: "acme_standup",
          user_id: USER,
          user_name: "Ada Lovelace",
          is_owner: false,
          exp: hour(properties.exp),
        },
      }),
    },
    gives: { token: "daily-token" },
  }),
  velt: row({
    answers: { result: { data: { token: "velt-token" } } },
    asks: {
      path: "/api.velt.dev/v1/auth/token/get",
      body: (_, secrets) => ({
        data: {
          apiKey: secrets.VELT_API_KEY,
          authToken: secrets.VELT_AUTH_TOKEN,
          userId: USER,
          userProperties: { organizationId: "acme", isAdmin: false },
        },
      }),
    },
    gives: { token: "velt-token" },
  }),
  mapbox: row({
    answers: { token: "tk.mapbox" },
    asks: {
      path: "/api.mapbox.com/tokens/v2/your-user-name",
      secretQuery: (secrets) => ({ access_token: secrets.MAPBOX_SECRET_TOKEN }),
      body: ({ expires }) => ({
        expires: hour(expires, Date.parse(expires) / 1000),
        scopes: ["styles:tiles", "styles:read", "fonts:read"],
      }),
    },
    gives: { token: "tk.mapbox" },
  }),
  deepgram: row({
    answers: { access_token: "deepgram-token", expires_in: 30 },
    asks: {
      path: "/api.deepgram.com/v1/auth/grant",
      headers: (secrets) => ({ authorization: `Token ${secrets.DEEPGRAM_API_KEY}` }),
      body: () => ({}),
    },
    gives: { access_token: "deepgram-token" },
  }),
  assemblyai: row({
    answers: { token: "assemblyai-token", expires_in_seconds: 60 },
    asks: {
      method: "GET",
      path: "/streaming.assemblyai.com/v3/token",
      query: { expires_in_seconds: "60" },
      headers: (secrets) => ({ authorization: secrets.ASSEMBLYAI_API_KEY }),
    },
    gives: { token: "assemblyai-token" },
  }),
  elevenlabs: row({
    answers: { token: "elevenlabs-token" },
    asks: {
      path: "/api.elevenlabs.io/v1/single-use-token/realtime_scribe",
      headers: (secrets) => ({ "xi-api-key": secrets.ELEVENLABS_API_KEY }),
    },
    gives: { token: "elevenlabs-token" },
  }),
  "elevenlabs-agent": row({
    answers: { signed_url: "wss://api.elevenlabs.io/v1/convai/conversation?agent_id=your-agent-id&token=x" },
    asks: {
      method: "GET",
      path: "/api.elevenlabs.io/v1/convai/conversation/get-signed-url",
      query: { agent_id: "your-agent-id" },
      headers: (secrets) => ({ "xi-api-key": secrets.ELEVENLABS_API_KEY }),
    },
    gives: { signedUrl: "wss://api.elevenlabs.io/v1/convai/conversation?agent_id=your-agent-id&token=x" },
  }),
};
