// Presets whose token the vendor makes and whose vendor has a library: the library asks the stand-in too, and both must have
// asked the same.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { GoogleGenAI } from "@google/genai";
import { OpenAI } from "openai";
import { createSpeechmaticsJWT } from "@speechmatics/auth";
import { fetchAccessToken } from "hume";
import * as oauth from "oauth4webapi";
import { SESSION, USER } from "../gallery.mjs";
import { azureSignature } from "./documented.mjs";
import { bearer, twin } from "./twin.mjs";

const require = createRequire(import.meta.url);
const { CommunicationIdentityClient } = require("@azure/communication-identity");
const Anam = require("@anam-ai/js-sdk");
const { Cartesia } = require("@cartesia/cartesia-js");
const { GladiaClient } = require("@gladiaio/sdk");
const { Nango } = require("@nangohq/node");
const { Configuration, PlaidApi } = require("plaid");
const { Retell } = require("retell-sdk");
const { SonioxNodeClient } = require("@soniox/node");
const Stripe = require("stripe");
const twilio = require("twilio");

const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

/** Runs `work` while the page's `fetch` goes to the stand-in. */
async function redirected(issuer, work) {
  const { fetch } = globalThis;
  globalThis.fetch = (url, ...rest) => fetch(String(url).replace("https://", `${issuer.url}/`), ...rest);
  try {
    return await work();
  } finally {
    globalThis.fetch = fetch;
  }
}

export const rows = {
  "gemini-live": twin({
    answers: { name: "auth_tokens/gemini" },
    headers: ["x-goog-api-key"],
    async sdk({ at, secrets, asked }) {
      const httpOptions = { apiVersion: "v1alpha", baseUrl: at("generativelanguage.googleapis.com") };
      const client = new GoogleGenAI({ apiKey: secrets.GEMINI_API_KEY, httpOptions });
      await client.authTokens.create({ config: { uses: 1, expireTime: asked.body.expireTime, httpOptions } });
    },
    gives: { token: "auth_tokens/gemini" },
  }),
  "openai-chatkit": twin({
    answers: { client_secret: "ek_chatkit", expires_at: 4_000_000_000 },
    headers: [...bearer, "openai-beta"],
    async sdk({ at, secrets }) {
      const client = new OpenAI({ apiKey: secrets.OPENAI_API_KEY, baseURL: at("api.openai.com/v1") });
      const expires_after = { anchor: "created_at", seconds: 600 };
      await client.beta.chatkit.sessions.create({ workflow: { id: "wf_your-workflow" }, user: USER, expires_after });
    },
    gives: { client_secret: "ek_chatkit" },
  }),
  soniox: twin({
    status: 201,
    answers: { api_key: "temp:soniox", expires_at: "2099-01-01T00:00:00Z" },
    headers: ["authorization"],
    async sdk({ at, secrets }) {
      const client = new SonioxNodeClient({ api_key: secrets.SONIOX_API_KEY, base_url: at("api.soniox.com") });
      await client.auth.createTemporaryKey({
        usage_type: "transcribe_websocket",
        expires_in_seconds: 60,
        client_reference_id: USER,
      });
    },
    gives: { api_key: "temp:soniox", expires_at: "2099-01-01T00:00:00Z" },
  }),
  speechmatics: twin({
    answers: { key_value: "speechmatics-jwt" },
    headers: bearer,
    sdk: ({ at, secrets }) =>
      createSpeechmaticsJWT({
        type: "rt",
        apiKey: secrets.SPEECHMATICS_API_KEY,
        clientRef: USER,
        ttl: 60,
        managementPlatformURL: at("mp.speechmatics.com/v1"),
      }),
    gives: { jwt: "speechmatics-jwt" },
  }),
  cartesia: twin({
    answers: { token: "cartesia-token" },
    headers: [...bearer, "cartesia-version"],
    async sdk({ at, secrets }) {
      const client = new Cartesia({ apiKey: secrets.CARTESIA_API_KEY, baseURL: at("api.cartesia.ai") });
      await client.accessToken.create({ grants: { tts: true }, expires_in: 300 });
    },
    gives: { token: "cartesia-token" },
  }),
  hume: twin({
    answers: { access_token: "hume-token", expires_in: 1800 },
    headers: bearer,
    sdk: ({ issuer, secrets }) =>
      redirected(issuer, () => fetchAccessToken({ apiKey: "your-api-key", secretKey: secrets.HUME_SECRET_KEY })),
    gives: { accessToken: "hume-token" },
  }),
  gladia: twin({
    status: 201,
    answers: { id: "g-1", url: "wss://api.gladia.io/v2/live?token=gladia" },
    headers: ["x-gladia-key"],
    async sdk({ at, secrets, issuer }) {
      const client = new GladiaClient({ apiKey: secrets.GLADIA_API_KEY, apiUrl: at("api.gladia.io") });
      const session = client.liveV2().startSession({
        encoding: "wav/pcm",
        sample_rate: 16000,
        custom_metadata: { user_id: USER },
      });
      session.on("error", () => {});
      await issuer.asked();
      session.endSession();
    },
    // Its library asks for acknowledgements, which it handles itself.
    same: ({ path, query, body: { messages_config, ...body }, ...rest }) => ({
      ...rest,
      body,
      path: path.replace("/api.gladia.io", ""),
    }),
    gives: { id: "g-1", url: "wss://api.gladia.io/v2/live?token=gladia" },
  }),
  anam: twin({
    answers: { sessionToken: "anam-token" },
    headers: bearer,
    async sdk({ issuer, secrets }) {
      await redirected(issuer, async () => {
        const client = Anam.unsafe_createClientWithApiKey(secrets.ANAM_API_KEY, { personaId: "your-persona-id" });
        await client.apiClient.unsafe_getSessionToken({ personaId: "your-persona-id" });
      });
    },
    // The label names the library itself.
    same: ({ body: { clientLabel, ...body }, ...rest }) => ({ ...rest, body }),
    gives: { sessionToken: "anam-token" },
  }),
  retell: twin({
    status: 201,
    answers: { access_token: "retell-token", call_id: "call-1" },
    headers: bearer,
    async sdk({ at, secrets }) {
      const client = new Retell({ apiKey: secrets.RETELL_API_KEY, baseURL: at("api.retellai.com") });
      await client.call.createWebCall({ agent_id: "your-agent-id", metadata: { user_id: USER } });
    },
    gives: { access_token: "retell-token", call_id: "call-1" },
  }),
  "twilio-turn": twin({
    status: 201,
    answers: { password: "turn-password", ttl: "3600", ice_servers: [{ urls: "stun:global.stun.twilio.com:3478" }] },
    headers: bearer,
    async sdk({ issuer, secrets }) {
      const client = twilio("SKyour-key-sid", secrets.TWILIO_KEY_SECRET, {
        accountSid: "ACyour-account-sid",
        httpClient: {
          async request({ method, uri, username, password, headers, data }) {
            const response = await fetch(uri.replace("https://", `${issuer.url}/`), {
              method,
              headers: { ...headers, authorization: `Basic ${btoa(`${username}:${password}`)}` },
              body: new URLSearchParams(data).toString(),
            });
            return { statusCode: response.status, body: await response.json() };
          },
        },
      });
      await client.tokens.create({ ttl: 3600 });
    },
    gives: { iceServers: [{ urls: "stun:global.stun.twilio.com:3478" }] },
  }),
  plaid: twin({
    answers: { link_token: "link-sandbox", expiration: "2099-01-01T00:00:00Z" },
    headers: ["plaid-client-id", "plaid-secret", "plaid-version"],
    async sdk({ at, secrets }) {
      const headers = { "PLAID-CLIENT-ID": secrets.PLAID_CLIENT_ID, "PLAID-SECRET": secrets.PLAID_SECRET };
      const basePath = at("production.plaid.com");
      const client = new PlaidApi(new Configuration({ basePath, baseOptions: { headers } }));
      await client.linkTokenCreate({
        user: { client_user_id: USER },
        client_name: "Your app",
        products: ["auth"],
        country_codes: ["US"],
        language: "en",
      });
    },
    gives: { link_token: "link-sandbox", expiration: "2099-01-01T00:00:00Z" },
  }),
  nango: twin({
    status: 201,
    answers: { data: { token: "nango-token", expires_at: "2099-01-01T00:00:00Z" } },
    headers: ["authorization"],
    async sdk({ at, secrets }) {
      const client = new Nango({ secretKey: secrets.NANGO_SECRET_KEY, host: at("api.nango.dev") });
      const end_user = { id: USER, email: "ada@example.com", display_name: "Ada Lovelace" };
      await client.createConnectSession({ end_user, allowed_integrations: ["github"] });
    },
    gives: { sessionToken: "nango-token", expires_at: "2099-01-01T00:00:00Z" },
  }),
  "stripe-customer": twin({
    answers: { client_secret: "cuss_secret", expires_at: 4_000_000_000 },
    headers: ["authorization", "content-type"],
    async sdk({ issuer, secrets }) {
      const components = { payment_element: { enabled: true } };
      await stripe(issuer, secrets).customerSessions.create({ customer: "cus_gallery42", components });
    },
    same: stripePath,
    gives: { customerSessionClientSecret: "cuss_secret" },
  }),
  "stripe-ephemeral": twin({
    answers: { id: "ephkey_1", secret: "ek_test_1", expires: 4_000_000_000 },
    headers: ["authorization", "content-type", "stripe-version"],
    async sdk({ issuer, secrets }) {
      const apiVersion = "2025-08-27.basil";
      await stripe(issuer, secrets).ephemeralKeys.create({ customer: "cus_gallery42" }, { apiVersion });
    },
    same: stripePath,
    gives: { id: "ephkey_1", secret: "ek_test_1", expires: 4_000_000_000 },
  }),
  "azure-communication": twin({
    answers: { token: "acs-token", expiresOn: "2099-01-01T00:00:00Z" },
    headers: [],
    async sdk({ at, secrets, asked }) {
      const key = secrets.AZURE_COMMUNICATION_KEY;
      assert.equal(asked.headers.authorization, azureSignature(asked, key));
      const host = "your-resource.communication.azure.com";
      const httpClient = {
        async sendRequest({ method, url, headers, body }) {
          const { pathname, search } = new URL(url);
          const twin = { method, path: pathname, search, headers: { ...headers.toJSON(), host }, text: body };
          assert.equal(twin.headers.authorization, azureSignature(twin, key), "its library signs so");
          await fetch(at(host) + pathname + search, { method, headers: { "content-type": "application/json" }, body });
          const answer = JSON.stringify({ token: "t", expiresOn: "2099-01-01T00:00:00Z" });
          return { status: 200, headers, request: { url, headers }, bodyAsText: answer };
        },
      };
      const connection = `endpoint=https://${host};accesskey=${key}`;
      const client = new CommunicationIdentityClient(connection, { httpClient });
      await client.getToken({ communicationUserId: SESSION.acs_user_id }, ["voip"]);
    },
    gives: { token: "acs-token", expiresOn: "2099-01-01T00:00:00Z" },
  }),
  oauth2: twin({
    sentence: "an OAuth 2.0 client that is certified asks the same",
    answers: { access_token: "partner-token", token_type: "Bearer", expires_in: 3600 },
    headers: bearer,
    async sdk({ at, secrets, asked }) {
      const token_endpoint = at("login.partner.example.com/oauth2/token");
      const server = { issuer: "https://login.partner.example.com", token_endpoint };
      await oauth.clientCredentialsGrantRequest(
        server,
        { client_id: "your-client-id" },
        oauth.ClientSecretBasic(secrets.PARTNER_SECRET),
        { scope: "catalogue:read" },
        { [oauth.allowInsecureRequests]: true },
      );
    },
    // It escapes more characters than it must; what they mean is the same.
    same: ({ "content-type": type, authorization, ...rest }) => ({
      ...rest,
      type: type.split(";")[0],
      credentials: decodeURIComponent(atob(authorization.replace("Basic ", ""))),
    }),
    gives: undefined,
  }),
};

const ending = rows.oauth2.says;
rows.oauth2.says = ({ body, ...context }) => {
  const { expires_at, ...others } = body;
  assert.deepEqual(others, { access_token: "partner-token", token_type: "Bearer" });
  assert.ok(Math.abs(expires_at - Date.parse(inAnHour()) / 1000) < 30);
  return ending({ body: undefined, ...context });
};

function stripe({ url }, secrets) {
  const { hostname: host, port } = new URL(url);
  return new Stripe(secrets.STRIPE_SECRET_KEY, { host, port, protocol: "http", telemetry: false, maxNetworkRetries: 0 });
}

/** Its library calls the host's root. */
function stripePath({ path, ...rest }) {
  return { ...rest, path: path.replace("/api.stripe.com", "") };
}
