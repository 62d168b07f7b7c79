// Presets whose token is a format of its own: the vendor's parser reads it, or the vendor's library writes the same.

import assert from "node:assert/strict";
import { createDecipheriv, randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { inflateSync } from "node:zlib";
import { createPresignedPost } from "@aws-sdk/s3-presigned-post";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { USER } from "../gallery.mjs";

const require = createRequire(import.meta.url);
const { AccessToken2 } = require("agora-token/src/AccessToken2.js");
const { Api } = require("tls-sig-api-v2");

const APP = "0123456789abcdef0123456789abcdef";
const seconds = () => Math.floor(Date.now() / 1000);
const parses = "the vendor's own parser accepts the token";

/** The one service of a token that Agora's library parses and verifies. */
function agora(token, secrets) {
  const parser = new AccessToken2("", "", 0, 0);
  assert.equal(parser.from_string(token), true);
  assert.equal(parser.verifySignature(secrets.AGORA_CERTIFICATE), true);
  assert.equal(parser.verifySignature(APP), false, "another certificate");
  assert.deepEqual([parser.appId.toString(), parser.expire, parser.services.length], [APP, 3600, 1]);
  assert.ok(Math.abs(parser.issueTs - seconds()) < 30 && parser.salt >= 1);
  const [service] = parser.services;
  return { type: service.service_type(), privileges: { ...service.__privileges }, service };
}

const account = (service) => (service.__uid ?? service.__user_id).toString();

/** Decodes the base64 of Tencent's alphabet. */
const tencent = (text) =>
  JSON.parse(inflateSync(Buffer.from(text.replace(/\*/g, "+").replace(/-/g, "/").replace(/_/g, "="), "base64")));

const stamped = (text) => new Date(text.replace(/(\d{4})(..)(..T..)(..)(..Z)/, "$1-$2-$3:$4:$5"));

function bucket(secrets, more) {
  const credentials = { accessKeyId: "your-access-key-id", secretAccessKey: secrets.S3_SECRET };
  return new S3Client({ credentials, requestChecksumCalculation: "WHEN_REQUIRED", ...more });
}

export const rows = {
  "agora-rtc": {
    sentence: "the vendor's own parser accepts 1,000 tokens for random channels",
    ask: { query: "?channel=acme_standup" },
    async says({ body, secrets, ask }) {
      const { type, privileges, service } = agora(body.token, secrets);
      assert.deepEqual([type, privileges], [1, { 1: 0, 2: 0, 3: 0, 4: 0 }]);
      assert.deepEqual([service.__channel_name.toString(), account(service)], ["acme_standup", USER]);
      const salts = new Set();
      for (let left = 1000; left > 0; left -= 1) {
        const channel = `acme_${randomUUID().slice(0, 1 + (left % 36))}`;
        const { body: other } = await ask({ query: `?channel=${channel}` });
        const parsed = agora(other.token, secrets).service;
        assert.equal(parsed.__channel_name.toString(), channel);
        salts.add(other.token);
      }
      assert.ok(salts.size > 900);
    },
  },
  "agora-rtm": {
    sentence: parses,
    says({ body, secrets }) {
      const { type, privileges, service } = agora(body.token, secrets);
      assert.deepEqual([type, privileges, account(service)], [2, { 1: 3600 }, USER]);
    },
  },
  "agora-chat": {
    sentence: parses,
    says({ body, secrets }) {
      const { type, privileges, service } = agora(body.token, secrets);
      assert.deepEqual([type, privileges, account(service)], [5, { 1: 3600 }, USER]);
    },
  },
  tencent: {
    sentence: "Tencent's own library signs the same",
    says({ body, secrets }) {
      const { "TLS.sig": signature, ...fields } = tencent(body.userSig);
      const { "TLS.time": time } = fields;
      assert.ok(Math.abs(time - seconds()) < 30);
      const api = new Api(1400000000, secrets.TENCENT_SECRET_KEY);
      const { "TLS.sig": _, "TLS.time": __, ...twin } = tencent(api.genUserSig(USER, 3600));
      assert.deepEqual({ ...fields }, { ...twin, "TLS.time": time });
      assert.equal(signature, api._hmacsha256(USER, time, 3600, null));
    },
  },
  zego: {
    sentence: "the token opens with the server secret, as the vendor's server assistant writes it",
    says({ body, secrets }) {
      assert.equal(body.token.slice(0, 2), "04");
      const bytes = Buffer.from(body.token.slice(2), "base64");
      assert.deepEqual([bytes.readUInt16BE(8), bytes.readUInt16BE(26)], [16, bytes.length - 28]);
      const decipher = createDecipheriv("aes-256-cbc", secrets.ZEGO_SERVER_SECRET, bytes.subarray(10, 26));
      const text = Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString();
      const { nonce, ctime, expire, ...rest } = JSON.parse(text);
      assert.deepEqual(rest, { app_id: 1234567890, user_id: USER, payload: "" });
      assert.deepEqual([expire - ctime, Number(bytes.readBigInt64BE(0))], [3600, expire]);
      assert.ok(Number.isInteger(nonce) && Math.abs(ctime - seconds()) < 30);
    },
  },
  "s3-post": {
    sentence: "AWS's own library makes the same form, policy and signature included",
    async says({ body, secrets }) {
      const client = bucket(secrets, { region: "eu-north-1" });
      let twin;
      // On a busy machine, half a second may have gone by.
      while (twin?.fields["X-Amz-Date"] !== body.fields["X-Amz-Date"]) {
        client.config.systemClockOffset = stamped(body.fields["X-Amz-Date"]).getTime() + 500 - Date.now();
        twin = await createPresignedPost(client, {
          Bucket: "your-bucket",
          Key: `users/${USER}/\${filename}`,
          Conditions: [
            ["content-length-range", 0, 10485760],
            ["starts-with", "$Content-Type", "image/"],
          ],
          Expires: 300,
        });
      }
      assert.deepEqual(body, twin);
    },
  },
  "s3-presign": {
    sentence: "AWS's own library signs the same address",
    ask: { json: { key: `users/${USER}/cat 1.png`, size: "1234", type: "image/png" } },
    async says({ body, secrets, ask }) {
      assert.deepEqual(body.headers, { "content-type": "image/png" });
      const address = new URL(body.url);
      const client = bucket(secrets, {
        region: "auto",
        endpoint: "https://your-account-id.r2.cloudflarestorage.com",
        forcePathStyle: true,
      });
      const command = new PutObjectCommand({
        Bucket: "your-bucket",
        Key: `users/${USER}/cat 1.png`,
        ContentType: "image/png",
        ContentLength: 1234,
      });
      const twin = await getSignedUrl(client, command, {
        expiresIn: 300,
        signingDate: stamped(address.searchParams.get("X-Amz-Date")),
        signableHeaders: new Set(["host", "content-type", "content-length"]),
      });
      assert.deepEqual(
        [address.origin + address.pathname, Object.fromEntries(address.searchParams)],
        [new URL(twin).origin + new URL(twin).pathname, Object.fromEntries(new URL(twin).searchParams)],
      );
      const upload = { key: `users/${USER}/x.png`, size: "1234", type: "image/png" };
      for (const [wrong, status] of [
        [{ key: "users/somebody-else/x.png" }, 403],
        [{ key: `users/${USER}/../somebody-else/x.png` }, 403],
        [{ size: "10485761" }, 403],
        [{ size: "1e3" }, 400],
        [{ type: "text/html" }, 403],
      ]) {
        await ask({ json: { ...upload, ...wrong }, status });
      }
    },
  },
};
