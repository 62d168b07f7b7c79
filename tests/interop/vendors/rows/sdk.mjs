// More presets whose token the vendor makes and whose vendor has a library: the library asks the stand-in too.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { AzureOpenAI, OpenAI } from "openai";
import { routePartyTracksRequest } from "partytracks/server";
import { USER } from "../gallery.mjs";
import { rows as documented } from "./documented.mjs";
import { bearer, twin } from "./twin.mjs";

const require = createRequire(import.meta.url);
const { AuthenticationClient } = require("@aps_sdk/authentication");
const { SdkManagerBuilder } = require("@aps_sdk/autodesk-sdkmanager");
const braintree = require("braintree");
const { Cloudflare } = require("cloudflare");

const ACCOUNT = "your-account-id";

const cloudflare = ({ at, secrets }) =>
  new Cloudflare({ apiToken: secrets.CLOUDFLARE_API_TOKEN, baseURL: at("api.cloudflare.com/client/v4"), maxRetries: 0 });

export const rows = {
  openai: twin({
    answers: { value: "ek_openai", expires_at: 4_000_000_000 },
    headers: bearer,
    async sdk({ at, secrets }) {
      const client = new OpenAI({ apiKey: secrets.OPENAI_API_KEY, baseURL: at("api.openai.com/v1") });
      await client.realtime.clientSecrets.create({
        expires_after: { anchor: "created_at", seconds: 600 },
        session: { type: "realtime", model: "gpt-realtime" },
      });
    },
    gives: { value: "ek_openai", expires_at: 4_000_000_000 },
  }),
  "azure-openai": twin({
    answers: { value: "ek_azure", expires_at: 4_000_000_000 },
    headers: ["api-key", "content-type"],
    async sdk({ at, secrets }) {
      const baseURL = at("your-resource.openai.azure.com/openai/v1");
      const client = new AzureOpenAI({ apiKey: secrets.AZURE_OPENAI_KEY, baseURL, apiVersion: "v1" });
      await client.realtime.clientSecrets.create({
        expires_after: { anchor: "created_at", seconds: 600 },
        session: { type: "realtime", model: "gpt-realtime" },
      });
    },
    // Its client names a version in every address; below `/openai/v1` none is asked for.
    same: ({ query: { "api-version": version, ...query }, ...rest }) => ({ ...rest, query }),
    gives: { value: "ek_azure", expires_at: 4_000_000_000 },
  }),
  // Its library says for how long, and for nobody: the user's id is the documented `customIdentifier`.
  "cloudflare-turn": twin({
    ...documented["cloudflare-turn"],
    headers: ["authorization"],
    async sdk({ at, secrets, asked }) {
      assert.equal(asked.body.customIdentifier, USER);
      await routePartyTracksRequest({
        turnServerAppId: "your-key-id",
        turnServerAppToken: secrets.CLOUDFLARE_TURN_TOKEN,
        turnServerCredentialTTL: 3600,
        realtimeApiBaseUrl: at("rtc.live.cloudflare.com/v1"),
        request: new Request("http://localhost/partytracks/generate-ice-servers"),
      });
    },
    same: ({ body: { customIdentifier, ...body }, ...rest }) => ({ ...rest, body }),
    gives: { iceServers: [{ urls: ["turn:turn.cloudflare.com:3478"], username: "u", credential: "c" }] },
  }),
  "cloudflare-realtimekit": twin({
    ...documented["cloudflare-realtimekit"],
    headers: bearer,
    async sdk(context) {
      await cloudflare(context).realtimeKit.meetings.addParticipant("m1", {
        account_id: ACCOUNT,
        app_id: "your-app-id",
        custom_participant_id: USER,
        preset_name: "group_call_participant",
        name: "Ada Lovelace",
      });
    },
    gives: { authToken: "realtimekit-token" },
  }),
  "cloudflare-stream-api": twin({
    ask: { query: "?video=vid1" },
    answers: { success: true, result: { token: "cloudflare-token" } },
    headers: bearer,
    async sdk({ asked, ...context }) {
      await cloudflare(context).stream.token.create("vid1", { account_id: ACCOUNT, exp: asked.body.exp });
    },
    gives: { token: "cloudflare-token" },
  }),
  autodesk: twin({
    answers: { access_token: "autodesk-token", token_type: "Bearer", expires_in: 3599 },
    headers: bearer,
    async sdk({ at, secrets }) {
      const sdkManager = SdkManagerBuilder.create().build();
      sdkManager.apsConfiguration.BaseAddress = new URL(at("developer.api.autodesk.com"));
      const client = new AuthenticationClient({ sdkManager });
      await client.getTwoLeggedToken("your-client-id", secrets.AUTODESK_SECRET, ["viewables:read"]);
    },
    same: ({ path, ...rest }) => ({ ...rest, path: path.replace("/developer.api.autodesk.com", "") }),
    gives: { access_token: "autodesk-token", expires_in: 3599 },
  }),
  // Its library sends any query: who asks, where and how is its own, and the mutation is the documented one.
  braintree: twin({
    ...documented.braintree,
    evidence: "documentation",
    sentence: "the vendor is asked as its own library asks GraphQL",
    headers: ["authorization", "content-type"],
    async sdk({ asked, issuer, secrets }) {
      const environment = new braintree.Environment("127.0.0.1", "", "", false, "127.0.0.1", new URL(issuer.url).port);
      environment.baseGraphQLUrl = () => `${issuer.url}/graphql`;
      const keys = { merchantId: "your-merchant-id", publicKey: "your-public-key", privateKey: secrets.BRAINTREE_PRIVATE_KEY };
      const gateway = new braintree.BraintreeGateway({ environment, ...keys });
      await gateway.graphQLClient.query(asked.body.query, asked.body.variables);
    },
    same: ({ path, ...rest }) => ({ ...rest, path: path.replace("/payments.braintree-api.com", "") }),
    gives: { clientToken: "braintree-token" },
  }),
};
