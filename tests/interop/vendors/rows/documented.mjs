// Presets whose token the vendor makes and whose vendor has no library that could ask the stand-in: the request is the one its
// documentation shows.

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { USER } from "../gallery.mjs";

const bearer = (key) => ({ authorization: `Bearer ${key}` });

function row({ ask, answers, status, path, headers, body, query = {}, gives, first }) {
  return {
    ask,
    answers,
    status,
    calls: first ? 2 : 1,
    async says({ asked, earlier, body: given, secrets }) {
      assert.deepEqual([asked.method, asked.path, asked.query], ["POST", path, query]);
      for (const [name, value] of Object.entries(headers(secrets))) assert.equal(asked.headers[name], value, name);
      assert.deepEqual(asked.body, typeof body === "function" ? body(asked.body, secrets) : body);
      assert.deepEqual(given, gives);
      first?.({ asked: earlier[0], secrets });
    },
  };
}

export const rows = {
  xai: row({
    answers: { value: "xai-token", expires_at: 4_000_000_000 },
    path: "/api.x.ai/v1/realtime/client_secrets",
    headers: (secrets) => bearer(secrets.XAI_API_KEY),
    body: { expires_after: { seconds: 300 } },
    gives: { value: "xai-token", expires_at: 4_000_000_000 },
  }),
  "azure-speech": row({
    answers: "eyJhbGciOiJIUzI1NiJ9.speech.token",
    path: "/westeurope.api.cognitive.microsoft.com/sts/v1.0/issueToken",
    headers: (secrets) => ({ "ocp-apim-subscription-key": secrets.AZURE_SPEECH_KEY, "content-length": "0" }),
    body: null,
    gives: { token: "eyJhbGciOiJIUzI1NiJ9.speech.token", region: "westeurope" },
  }),
  "direct-line": row({
    answers: { conversationId: "c-1", token: "dl-token", expires_in: 1800 },
    path: "/directline.botframework.com/v3/directline/tokens/generate",
    headers: (secrets) => bearer(secrets.DIRECT_LINE_SECRET),
    body: { user: { id: `dl_${USER}` } },
    gives: { token: "dl-token", conversationId: "c-1", expires_in: 1800 },
  }),
  liveavatar: row({
    answers: { code: 1000, data: { session_id: "s-1", session_token: "avatar-token" } },
    path: "/api.liveavatar.com/v1/sessions/token",
    headers: (secrets) => ({ "x-api-key": secrets.LIVEAVATAR_API_KEY }),
    body: { mode: "FULL", avatar_id: "your-avatar-id" },
    gives: { session_id: "s-1", session_token: "avatar-token" },
  }),
  tavus: row({
    answers: { conversation_id: "c-1", conversation_url: "https://tavus.daily.co/c-1", status: "active" },
    path: "/tavusapi.com/v2/conversations",
    headers: (secrets) => ({ "x-api-key": secrets.TAVUS_API_KEY }),
    body: { persona_id: "your-persona-id", conversation_name: USER },
    gives: { conversation_id: "c-1", conversation_url: "https://tavus.daily.co/c-1" },
  }),
  "cloudflare-turn": row({
    status: 201,
    answers: { iceServers: [{ urls: ["turn:turn.cloudflare.com:3478"], username: "u", credential: "c" }] },
    path: "/rtc.live.cloudflare.com/v1/turn/keys/your-key-id/credentials/generate-ice-servers",
    headers: (secrets) => bearer(secrets.CLOUDFLARE_TURN_TOKEN),
    body: { ttl: 3600, customIdentifier: USER },
    gives: { iceServers: [{ urls: ["turn:turn.cloudflare.com:3478"], username: "u", credential: "c" }] },
  }),
  "cloudflare-realtimekit": row({
    ask: { query: "?meeting=m1" },
    answers: { success: true, data: { id: "p-1", token: "realtimekit-token" } },
    path: "/api.cloudflare.com/client/v4/accounts/your-account-id/realtime/kit/your-app-id/meetings/m1/participants",
    headers: (secrets) => bearer(secrets.CLOUDFLARE_API_TOKEN),
    body: { custom_participant_id: USER, preset_name: "group_call_participant", name: "Ada Lovelace" },
    gives: { authToken: "realtimekit-token" },
  }),
  "power-bi": row({
    answers: ({ path }) =>
      path.startsWith("/login.")
        ? { access_token: "entra-token", expires_in: 3599 }
        : { token: "power-bi-token", tokenId: "t", expiration: "2099-01-01T00:00:00Z" },
    path: "/api.powerbi.com/v1.0/myorg/GenerateToken",
    headers: () => bearer("entra-token"),
    body: {
      reports: [{ id: "your-report-id" }],
      datasets: [{ id: "your-dataset-id" }],
      identities: [{ username: USER, roles: ["Customer"], datasets: ["your-dataset-id"] }],
      lifetimeInMinutes: 60,
    },
    gives: { accessToken: "power-bi-token", expiration: "2099-01-01T00:00:00.000Z" },
    first({ asked, secrets }) {
      assert.equal(asked.path, "/login.microsoftonline.com/your-tenant-id/oauth2/v2.0/token");
      assert.deepEqual(asked.body, {
        grant_type: "client_credentials",
        client_id: secrets.POWER_BI_CLIENT_ID,
        client_secret: secrets.POWER_BI_SECRET,
        scope: "https://analysis.windows.net/powerbi/api/.default",
      });
    },
  }),
  braintree: row({
    answers: { data: { createClientToken: { clientToken: "braintree-token" } } },
    path: "/payments.braintree-api.com/graphql",
    headers: (secrets) => ({
      authorization: `Basic ${btoa(`your-public-key:${secrets.BRAINTREE_PRIVATE_KEY}`)}`,
      "braintree-version": "2019-01-01",
    }),
    body: {
      query:
        "mutation ClientToken($input: CreateClientTokenInput) { createClientToken(input: $input) { clientToken } }",
      variables: { input: { clientToken: {} } },
    },
    gives: { clientToken: "braintree-token" },
  }),
  sumsub: {
    answers: { token: "sumsub-token", userId: USER },
    sentence: "the request is signed over its time, method, path and body, as the vendor documents it",
    async says({ asked, body, secrets }) {
      assert.deepEqual(body, { token: "sumsub-token" });
      assert.deepEqual(asked.body, { userId: USER, levelName: "basic-kyc-level", ttlInSecs: 600 });
      const { "x-app-token": token, "x-app-access-ts": time, "x-app-access-sig": signature } = asked.headers;
      assert.equal(token, secrets.SUMSUB_APP_TOKEN);
      assert.ok(Math.abs(Number(time) - Date.now() / 1000) < 30);
      const text = `${time}POST${asked.path}${asked.text}`;
      assert.equal(signature, createHmac("sha256", secrets.SUMSUB_SECRET_KEY).update(text).digest("hex"));
    },
  },
};

/** The signature of Azure Communication Services over a request, as its library computes it. */
export function azureSignature({ method, path, search, headers, text }, key) {
  const hash = createHash("sha256").update(text).digest("base64");
  assert.equal(headers["x-ms-content-sha256"], hash);
  const signed = `${method}\n${path}${search}\n${headers["x-ms-date"]};${headers.host};${hash}`;
  const signature = createHmac("sha256", Buffer.from(key, "base64")).update(signed).digest("base64");
  return `HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=${signature}`;
}
