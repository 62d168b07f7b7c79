// Presets that sign addresses of files: the vendor's own library signs the same.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { USER } from "../gallery.mjs";

const require = createRequire(import.meta.url);
const cloudfront = require("@aws-sdk/cloudfront-signer");
const azure = require("@azure/storage-blob");
const { Storage } = require("@google-cloud/storage");

const sdk = (name) => `${name}'s own library signs the same`;
const FILE = `users/${USER}/film 1.mp4`;
const seconds = () => Math.floor(Date.now() / 1000);

/** Query and path of an address, without regard to the order. */
function parts(address) {
  const { origin, pathname, searchParams } = new URL(address);
  return { origin, pathname, query: Object.fromEntries(searchParams) };
}

/** Refused for files of others, and for paths that lead there. */
async function refused(ask, name) {
  for (const path of ["users/somebody-else/x", `users/${USER}/../somebody-else/x`, `users/${USER}//x`]) {
    await ask({ query: `?${name}=${encodeURIComponent(path)}`, status: 403 });
  }
}

export const rows = {
  "cloudfront-cookies": {
    sentence: sdk("CloudFront"),
    says({ response, body, secrets }) {
      const cookies = response.headers.getSetCookie();
      const found = Object.fromEntries(cookies.map((cookie) => cookie.split(";")[0].match(/^(.*?)=(.*)$/).slice(1)));
      const policy = JSON.stringify({
        Statement: [
          {
            Resource: `https://cdn.example.com/users/${USER}/*`,
            Condition: { DateLessThan: { "AWS:EpochTime": body.expires_at } },
          },
        ],
      });
      const twin = cloudfront.getSignedCookies({
        policy,
        keyPairId: "your-key-pair-id",
        privateKey: secrets.CLOUDFRONT_PRIVATE_KEY,
        algorithm: "SHA256",
      });
      assert.deepEqual(found, twin);
      assert.ok(cookies.every((cookie) => cookie.includes("; Domain=example.com; ")));
      assert.ok(Math.abs(body.expires_at - seconds() - 3600) < 30);
    },
  },
  "cloudfront-url": {
    sentence: sdk("CloudFront"),
    ask: { query: `?path=${encodeURIComponent(FILE)}` },
    async says({ body, secrets, ask }) {
      const found = parts(body.url);
      const twin = cloudfront.getSignedUrl({
        url: `https://cdn.example.com/${FILE}`,
        keyPairId: "your-key-pair-id",
        dateLessThan: new Date(Number(found.query.Expires) * 1000).toISOString(),
        privateKey: secrets.CLOUDFRONT_PRIVATE_KEY,
        algorithm: "SHA256",
      });
      assert.deepEqual(found, parts(twin));
      await refused(ask, "path");
    },
  },
  gcs: {
    sentence: sdk("Google Cloud Storage"),
    ask: { query: `?object=${encodeURIComponent(FILE)}` },
    async says({ body, secrets, ask }) {
      const found = parts(body.url);
      const [, year, month, day, hour, minute, second] = found.query["X-Goog-Date"].match(/(\d{4})(..)(..)T(..)(..)(..)Z/);
      const accessibleAt = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
      const storage = new Storage({
        projectId: "your-project",
        credentials: {
          client_email: "sdk@your-project.iam.gserviceaccount.com",
          private_key: secrets.FIREBASE_PRIVATE_KEY,
        },
      });
      const [twin] = await storage.bucket("your-bucket").file(FILE).getSignedUrl({
        version: "v4",
        action: "read",
        accessibleAt,
        expires: new Date(accessibleAt.getTime() + 900_000),
      });
      assert.deepEqual(found, parts(twin));
      await refused(ask, "object");
    },
  },
  "azure-blob": {
    sentence: sdk("Azure Storage"),
    ask: { query: `?blob=${encodeURIComponent(FILE)}` },
    async says({ body, secrets, ask }) {
      const found = parts(body.url);
      const credential = new azure.StorageSharedKeyCredential("youraccount", secrets.AZURE_STORAGE_KEY);
      const twin = azure.generateBlobSASQueryParameters(
        {
          containerName: "uploads",
          blobName: FILE,
          permissions: azure.BlobSASPermissions.parse("r"),
          expiresOn: new Date(found.query.se),
          protocol: azure.SASProtocol.Https,
          version: "2022-11-02",
        },
        credential,
      );
      assert.deepEqual(found.query, Object.fromEntries(new URLSearchParams(twin.toString())));
      assert.equal(found.pathname, `/uploads/users/${USER}/film%201.mp4`);
      await refused(ask, "blob");
    },
  },
  "bunny-stream": {
    sentence: "the signature is the documented one",
    ask: { query: "?video=eb1c4f77-0cda-46be-b47d-1118ad7c2ffe" },
    says({ body, secrets }) {
      const { origin, pathname, query } = parts(body.url);
      assert.equal(origin + pathname, "https://iframe.mediadelivery.net/embed/759/eb1c4f77-0cda-46be-b47d-1118ad7c2ffe");
      const text = `${secrets.BUNNY_TOKEN_KEY}eb1c4f77-0cda-46be-b47d-1118ad7c2ffe${query.expires}`;
      assert.equal(query.token, createHash("sha256").update(text).digest("hex"));
      assert.ok(Math.abs(Number(query.expires) - seconds() - 3600) < 30);
    },
  },
};
