// Presets that sign a text: the vendor's server library, or what its documentation says, signs the same text again.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createRequire } from "node:module";
import { generateSecureSignature } from "@uploadcare/signed-uploads";
import { USER } from "../gallery.mjs";

const require = createRequire(import.meta.url);
const { searchClient } = require("@algolia/client-search");
const Ably = require("ably");
const cloudinary = require("cloudinary").v2;
const { ImageKit } = require("@imagekit/nodejs");
const Pusher = require("pusher");
const Typesense = require("typesense");

const SOCKET = "1234.5678";

const sdk = (name) => `${name}'s own library signs the same`;
const documented = "the signature is the documented one";

const hmac = (hash, encoding, secret, text) => createHmac(hash, secret).update(text).digest(encoding);
const now = () => Math.floor(Date.now() / 1000);

function pusher(secrets) {
  const encryptionMasterKeyBase64 = secrets.PUSHER_MASTER_KEY;
  const app = { appId: "1", key: "your-app-key", secret: secrets.PUSHER_SECRET, cluster: "interop" };
  return new Pusher({ ...app, encryptionMasterKeyBase64 });
}

export const rows = {
  turn: {
    sentence: documented,
    says({ body, secrets }) {
      const { username, credential, ttl, urls } = body;
      assert.match(username, new RegExp(`^\\d+:${USER}$`));
      assert.equal(credential, hmac("sha1", "base64", secrets.TURN_SECRET, username));
      assert.deepEqual([ttl, urls], [3600, ["turn:turn.example.com:3478"]]);
    },
  },
  "ably-request": {
    sentence: sdk("Ably"),
    async says({ body, secrets }) {
      const client = new Ably.Rest({ key: secrets.ABLY_API_KEY });
      const { ttl, capability, clientId, timestamp, nonce } = body;
      const twin = await client.auth.createTokenRequest({ ttl, capability, clientId, timestamp, nonce });
      assert.deepEqual(body, { ...twin });
      assert.deepEqual([clientId, ttl, capability], [USER, 3_600_000, '{"user:user_42":["*"]}']);
    },
  },
  pusher: {
    sentence: sdk("Pusher"),
    ask: { form: { socket_id: SOCKET, channel_name: "presence-acme_lobby" } },
    async says({ body, secrets, ask }) {
      const member = { user_id: USER, user_info: { name: "Ada Lovelace" } };
      assert.deepEqual(body, pusher(secrets).authorizeChannel(SOCKET, "presence-acme_lobby", member));
      const channel_name = `private-user-${USER}`;
      const own = await ask({ form: { socket_id: SOCKET, channel_name } });
      assert.deepEqual(own.body, pusher(secrets).authorizeChannel(SOCKET, channel_name));
      const encrypted = "private-encrypted-acme_plans";
      const opened = await ask({ form: { socket_id: SOCKET, channel_name: encrypted } });
      assert.deepEqual(opened.body, pusher(secrets).authorizeChannel(SOCKET, encrypted));
      assert.equal(Buffer.from(opened.body.shared_secret, "base64").length, 32);
      for (const refused of ["private-encrypted-rival_plans", "private-user-somebody-else", "presence-rival-lobby", `:user::{"id":"somebody-else"}`]) {
        const status = refused.startsWith("p") ? 403 : 400;
        await ask({ form: { socket_id: SOCKET, channel_name: refused }, status });
      }
    },
  },
  "pusher-user": {
    sentence: sdk("Pusher"),
    ask: { form: { socket_id: SOCKET } },
    says({ body, secrets }) {
      const user = { id: USER, user_info: { name: "Ada Lovelace" } };
      assert.deepEqual(body, pusher(secrets).authenticateUser(SOCKET, user));
    },
  },
  algolia: {
    sentence: "Algolia's own library makes the same key, and reads how long it lives",
    says({ body, secrets }) {
      const client = searchClient("YourApplicationId", "your-api-key");
      const remaining = client.getSecuredApiKeyRemainingValidity({ securedApiKey: body.apiKey });
      assert.ok(remaining > 3560 && remaining <= 3600, `${remaining} s`);
      const [, validUntil] = Buffer.from(body.apiKey, "base64").toString().match(/validUntil=(\d+)/);
      const twin = client.generateSecuredApiKey({
        parentApiKey: secrets.ALGOLIA_SEARCH_KEY,
        restrictions: { filters: 'org:"acme"', userToken: USER, validUntil: Number(validUntil) },
      });
      assert.equal(body.apiKey, twin);
    },
  },
  typesense: {
    sentence: "Typesense's own library makes the same key",
    says({ body, secrets }) {
      const nodes = [{ host: "127.0.0.1", port: 1, protocol: "http" }];
      const client = new Typesense.Client({ nodes, apiKey: "your-api-key" });
      const key = Buffer.from(body.token, "base64").toString();
      const parameters = JSON.parse(key.slice(key.indexOf("{")));
      assert.equal(parameters.filter_by, "org_id:=acme");
      assert.ok(Math.abs(parameters.expires_at - now() - 3600) < 30);
      assert.equal(body.token, client.keys().generateScopedSearchKey(secrets.TYPESENSE_SEARCH_KEY, parameters));
    },
  },
  uploadcare: {
    sentence: sdk("Uploadcare"),
    says({ body, secrets }) {
      const expire = Number(body.secureExpire) * 1000;
      assert.ok(Math.abs(expire / 1000 - now() - 1800) < 30);
      assert.deepEqual(body, generateSecureSignature(secrets.UPLOADCARE_SECRET_KEY, { expire }));
    },
  },
  imagekit: {
    sentence: sdk("ImageKit"),
    says({ body, secrets }) {
      const client = new ImageKit({ privateKey: secrets.IMAGEKIT_PRIVATE_KEY });
      assert.deepEqual(body, client.helper.getAuthenticationParameters(body.token, body.expire));
    },
  },
  cloudinary: {
    sentence: sdk("Cloudinary"),
    says({ body: { signature, timestamp, api_key }, secrets }) {
      const signed = { folder: `users/${USER}`, timestamp };
      assert.equal(signature, cloudinary.utils.api_sign_request(signed, secrets.CLOUDINARY_API_SECRET, "sha1"));
      assert.equal(api_key, "your-api-key");
    },
  },
  "cloudinary-cookie": {
    sentence: sdk("Cloudinary"),
    says({ response, secrets }) {
      const [pair, ...attributes] = response.headers.get("set-cookie").split("; ");
      const [, start_time] = pair.match(/st=(\d+)~/);
      const twin = cloudinary.utils.generate_auth_token({
        key: secrets.CLOUDINARY_AUTH_KEY,
        start_time: Number(start_time),
        duration: 3600,
        acl: `/image/authenticated/users/${USER}/*`,
      });
      assert.equal(pair, twin);
      assert.ok(attributes.includes("Domain=example.com"), attributes);
    },
  },
  transloadit: {
    sentence: documented,
    says({ body: { params, signature }, secrets }) {
      assert.equal(signature, `sha384:${hmac("sha384", "hex", secrets.TRANSLOADIT_SECRET, params)}`);
      const { auth, ...others } = JSON.parse(params);
      assert.deepEqual(others, { template_id: "your-template-id", fields: { user_id: USER } });
      assert.equal(auth.key, "your-auth-key");
      assert.ok(Math.abs(Date.parse(auth.expires) / 1000 - now() - 3600) < 30);
    },
  },
  novu: {
    sentence: documented,
    says({ body, secrets }) {
      const subscriberHash = hmac("sha256", "hex", secrets.NOVU_SECRET_KEY, USER);
      assert.deepEqual(body, { subscriberId: USER, subscriberHash });
    },
  },
  "intercom-hash": {
    sentence: documented,
    says({ body, secrets }) {
      assert.deepEqual(body, { user_hash: hmac("sha256", "hex", secrets.INTERCOM_SECRET, USER) });
    },
  },
  crisp: {
    sentence: documented,
    says({ body, secrets }) {
      const email = "ada@example.com";
      assert.deepEqual(body, { email, signature: hmac("sha256", "hex", secrets.CRISP_SECRET, email) });
    },
  },
};
