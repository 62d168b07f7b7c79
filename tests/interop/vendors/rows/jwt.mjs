// Presets whose token is a JWT: where it stands in the answer, the key that verifies it, and the claims it must hold.
//
// `jose` and PyJWT verify every one of them; `says` is the vendor's own verdict, where the vendor has code for one.
// Claims about time and a random `jti` are looked at apart.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import jsonwebtoken from "jsonwebtoken";
import { TokenVerifier } from "livekit-server-sdk";
import { generateTenantToken } from "meilisearch/token";
import { StreamClient } from "@stream-io/node-sdk";
import { EC_PUBLIC, RSA_PUBLIC, USER, secrets } from "../gallery.mjs";
import { verify as verifyPortive } from "../../support/portive.mjs";

const require = createRequire(import.meta.url);
const { StreamChat } = require("stream-chat");
const twilio = require("twilio");
const vonage = require("@vonage/jwt");

const HOUR = 3600;
const user = { name: "Ada Lovelace", email: "ada@example.com" };
const rsa = { algorithm: "RS256", key: RSA_PUBLIC };
const shared = (name, algorithm = "HS256") => ({ algorithm, key: secrets[name] });

/** Header and claims of a token, without regard to the order of members. */
function parts(token) {
  const { header, payload } = jsonwebtoken.decode(token, { complete: true });
  return [header, payload];
}

export const rows = {
  "stream-chat": {
    ...shared("STREAM_SECRET"),
    body: { api_key: "your-api-key", user_id: USER },
    at: "token",
    life: HOUR,
    claims: { user_id: USER },
    async says({ token, claims }) {
      const server = new StreamChat("your-api-key", secrets.STREAM_SECRET);
      assert.deepEqual(parts(token), parts(server.createToken(USER, claims.exp, claims.iat)));
      const client = new StreamChat("your-api-key", { allowServerSideConnect: true });
      await client.tokenManager.setTokenOrProvider(token, { id: USER });
      assert.equal(client.tokenManager.getToken(), token);
      await assert.rejects(client.tokenManager.setTokenOrProvider(token, { id: "somebody-else" }), /matching/);
    },
  },
  "stream-video": {
    ...shared("STREAM_SECRET"),
    at: "token",
    life: HOUR,
    claims: { user_id: USER },
    says({ token, claims: { exp, iat } }) {
      const server = new StreamClient("your-api-key", secrets.STREAM_SECRET);
      assert.deepEqual(parts(token), parts(server.generateUserToken({ user_id: USER, exp, iat })));
    },
  },
  livekit: {
    ...shared("LIVEKIT_API_SECRET"),
    ask: { json: { room_name: "acme:standup", participant_identity: "somebody-else", participant_name: "Mallory" } },
    body: { server_url: "wss://your-project.livekit.cloud" },
    at: "participant_token",
    life: 600,
    claims: {
      iss: "your-api-key",
      sub: USER,
      name: user.name,
      video: { roomJoin: true, room: "acme:standup", canPublish: true, canSubscribe: true },
    },
    async says({ token }) {
      const verified = await new TokenVerifier("your-api-key", secrets.LIVEKIT_API_SECRET).verify(token, 0);
      assert.equal(verified.video.room, "acme:standup");
      await assert.rejects(new TokenVerifier("another-key", secrets.LIVEKIT_API_SECRET).verify(token, 0), /iss/);
    },
  },
  twilio: {
    ...shared("TWILIO_KEY_SECRET"),
    body: { identity: USER },
    at: "token",
    life: HOUR,
    claims: {
      iss: "SKyour-key-sid",
      sub: "ACyour-account-sid",
      grants: {
        identity: USER,
        voice: { incoming: { allow: true }, outgoing: { application_sid: "APyour-app-sid" } },
      },
    },
    async says({ token, claims, python }) {
      const { AccessToken } = twilio.jwt;
      const twin = new AccessToken("ACyour-account-sid", "SKyour-key-sid", secrets.TWILIO_KEY_SECRET, {
        identity: USER,
        ttl: HOUR,
      });
      twin.addGrant(
        new AccessToken.VoiceGrant({ incomingAllow: true, outgoingApplicationSid: "APyour-app-sid" }),
      );
      const [header, made] = parts(twin.toJwt());
      const [ours, { iat, exp }] = parts(token);
      const jti = `SKyour-key-sid-${iat}`;
      assert.deepEqual([ours, claims], [header, { ...made, iat, exp, jti }]);
      assert.deepEqual(await python.claims("twilio", { token, key: secrets.TWILIO_KEY_SECRET }), claims);
    },
  },
  vonage: {
    ...rsa,
    at: "token",
    life: 900,
    claims: {
      application_id: "your-application-id",
      sub: USER,
      acl: { paths: { "/*/sessions/**": {}, "/*/conversations/**": {}, "/*/legs/**": {} } },
    },
    says({ token }) {
      assert.equal(vonage.verifySignature(token, RSA_PUBLIC), true);
      assert.equal(vonage.verifySignature(`${token.slice(0, -8)}AAAAAAAA`, RSA_PUBLIC), false);
    },
  },
  "zoom-video": {
    ...shared("ZOOM_SDK_SECRET"),
    ask: { json: { sessionName: "acme:standup", role: 1 } },
    at: "signature",
    life: 2 * HOUR,
    claims: { app_key: "your-sdk-key", role_type: 0, tpc: "acme:standup", version: 1, user_identity: USER },
  },
  daily: {
    ...shared("DAILY_API_KEY"),
    ask: { query: "?room=acme_standup" },
    at: "token",
    life: HOUR,
    claims: { r: "acme_standup", d: "your-domain-id", ud: USER, u: user.name, o: false },
  },
  jaas: {
    ...rsa,
    audience: "jitsi",
    issuer: "chat",
    ask: { query: "?room=acme_standup" },
    at: "token",
    life: 2 * HOUR,
    header: { kid: "your-app-id/key" },
    claims: {
      aud: "jitsi",
      iss: "chat",
      sub: "your-app-id",
      room: "acme_standup",
      context: {
        user: { id: USER, ...user, moderator: "false" },
        features: { livestreaming: "false", recording: "true" },
      },
    },
  },
  jitsi: {
    ...shared("JITSI_APP_SECRET"),
    audience: "your-app-id",
    issuer: "your-app-id",
    ask: { query: "?room=acme_standup" },
    at: "token",
    life: HOUR,
    claims: {
      aud: "your-app-id",
      iss: "your-app-id",
      sub: "meet.example.com",
      room: "acme_standup",
      context: { user: { id: USER, ...user } },
    },
  },
  ably: {
    algorithm: "HS256",
    key: secrets.ABLY_API_KEY.split(":")[1],
    type: "application/jwt",
    life: HOUR,
    header: { kid: secrets.ABLY_API_KEY.split(":")[0] },
    claims: {
      "x-ably-clientId": USER,
      "x-ably-capability": JSON.stringify({ "user:user_42": ["subscribe", "publish"], "org:acme:*": ["subscribe"] }),
    },
  },
  centrifugo: {
    ...shared("CENTRIFUGO_SECRET"),
    at: "token",
    life: 900,
    claims: { sub: USER, channels: ["org:acme"] },
  },
  mercure: {
    ...shared("MERCURE_JWT_KEY"),
    cookie: "mercureAuthorization",
    life: HOUR,
    claims: { mercure: { subscribe: ["https://example.com/users/user_42/{?topic}"], payload: { user: USER } } },
  },
  "mercure-1": {
    ...shared("MERCURE_JWT_KEY"),
    audience: "https://hub.example.com/.well-known/mercure",
    issuer: "https://app.example.com",
    cookie: "__Secure-mercure_access_token",
    life: HOUR,
    header: { typ: "at+jwt" },
    claims: {
      iss: "https://app.example.com",
      sub: USER,
      client_id: "https://app.example.com",
      aud: "https://hub.example.com/.well-known/mercure",
      authorization_details: [
        {
          type: "https://mercure.rocks/authorization-detail",
          actions: ["subscribe"],
          topics: [{ match: "https://example.com/users/user_42" }],
        },
      ],
    },
  },
  tiptap: {
    ...shared("TIPTAP_SECRET"),
    at: "token",
    life: HOUR / 2,
    claims: { sub: USER, allowedDocumentNames: ["acme/*"] },
  },
  ckeditor: {
    ...shared("CKEDITOR_ACCESS_KEY"),
    audience: "your-environment-id",
    type: "text/plain",
    life: 24 * HOUR,
    claims: {
      aud: "your-environment-id",
      sub: USER,
      user,
      auth: { collaboration: { "acme_*": { role: "writer" } } },
    },
  },
  tinymce: { ...rsa, at: "token", life: 600, claims: { sub: USER, name: user.name } },
  meilisearch: {
    ...shared("MEILI_SEARCH_KEY"),
    at: "token",
    life: HOUR,
    claims: {
      searchRules: { docs: { filter: 'org_id = "acme"' } },
      apiKeyUid: "76cf8b87-fd12-4688-ad34-260d930ca4f4",
    },
    async says({ token, claims: { searchRules, apiKeyUid, exp } }) {
      const apiKey = secrets.MEILI_SEARCH_KEY;
      const twin = await generateTenantToken({ apiKey, apiKeyUid, searchRules, expiresAt: exp });
      assert.deepEqual(parts(token), parts(twin));
    },
  },
  portive: {
    algorithm: "HS256",
    key: secrets.PORTIVE_API_KEY.split("_").at(-1),
    at: "authToken",
    life: 60,
    header: { kid: secrets.PORTIVE_API_KEY.split("_")[1] },
    claims: { tags: ["user:user_42"], maxFileBytes: 10485760 },
    says({ token, claims }) {
      assert.deepEqual(verifyPortive(token, secrets.PORTIVE_API_KEY), claims);
    },
  },
  mux: {
    ...rsa,
    audience: "v",
    ask: { query: "?playback_id=PuBlIcPlAyBaCkId01" },
    at: "playback-token",
    life: HOUR,
    claims: { kid: "your-key-id", sub: "PuBlIcPlAyBaCkId01", aud: "v" },
  },
  "cloudflare-stream": {
    ...rsa,
    ask: { query: "?video=vid1" },
    at: "token",
    life: HOUR,
    header: { kid: "your-key-id" },
    claims: { sub: "vid1", kid: "your-key-id" },
  },
  firebase: {
    ...rsa,
    audience: "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit",
    issuer: "sdk@your-project.iam.gserviceaccount.com",
    at: "token",
    life: HOUR,
    claims: {
      aud: "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit",
      iss: "sdk@your-project.iam.gserviceaccount.com",
      sub: "sdk@your-project.iam.gserviceaccount.com",
      uid: USER,
      claims: { org_id: "acme", roles: ["editor"] },
    },
  },
  supabase: {
    ...shared("SUPABASE_JWT_SECRET"),
    audience: "authenticated",
    at: "token",
    life: HOUR,
    claims: { aud: "authenticated", role: "authenticated", sub: USER, email: user.email },
  },
  hasura: {
    ...shared("HASURA_JWT_SECRET"),
    at: "token",
    life: 900,
    claims: {
      sub: USER,
      "https://hasura.io/jwt/claims": {
        "x-hasura-default-role": "user",
        "x-hasura-allowed-roles": ["user"],
        "x-hasura-user-id": USER,
      },
    },
  },
  convex: {
    ...rsa,
    audience: "convex",
    issuer: "https://app.example.com",
    at: "token",
    life: HOUR,
    header: { kid: "2026-01" },
    claims: { sub: USER, iss: "https://app.example.com", aud: "convex" },
  },
  powersync: {
    algorithm: "HS256",
    key: Buffer.from(secrets.POWERSYNC_KEY, "base64url").toString(),
    audience: "https://your-instance.powersync.journeyapps.com",
    body: { endpoint: "https://your-instance.powersync.journeyapps.com" },
    at: "token",
    life: 300,
    header: { kid: "2026-01" },
    claims: { sub: USER, aud: "https://your-instance.powersync.journeyapps.com" },
  },
  knock: { ...rsa, at: "token", life: HOUR, claims: { sub: USER } },
  intercom: { ...shared("INTERCOM_SECRET"), at: "token", life: HOUR, claims: { user_id: USER, ...user } },
  zendesk: {
    ...shared("ZENDESK_SECRET"),
    at: "token",
    life: 600,
    header: { kid: "app_your-key-id" },
    claims: { scope: "user", external_id: USER, ...user, email_verified: true },
  },
  metabase: {
    ...shared("METABASE_EMBEDDING_KEY"),
    find: ({ url }) => url.match(/^https:\/\/metabase\.example\.com\/embed\/dashboard\/(.*)#bordered=true$/)[1],
    life: 600,
    claims: { resource: { dashboard: 7 }, params: { user_id: USER } },
  },
  "metabase-sso": {
    ...shared("METABASE_JWT_SECRET"),
    at: "jwt",
    life: 600,
    claims: { email: user.email, first_name: user.name, groups: ["editor"] },
  },
  mapkit: {
    algorithm: "ES256",
    key: EC_PUBLIC,
    issuer: "your-team-id",
    type: "text/plain",
    life: HOUR / 2,
    header: { kid: "your-key-id" },
    claims: { iss: "your-team-id", origin: "https://app.example.com" },
  },
};
