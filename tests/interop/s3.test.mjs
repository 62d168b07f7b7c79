// Forms and presigned addresses for S3: AWS's own library and the gateway sign the same, and an S3 server gives both the same verdict.
//
// The server is moto behind `vendors/s3.py`, which says what moto itself does not check.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Gateway } from "./harness.mjs";
import { Child } from "./support/child.mjs";
import { NEXTAUTH_SECRET, cookieOf } from "./support/session.mjs";

const require = createRequire(new URL("vendors/", import.meta.url));
const { CreateBucketCommand, GetObjectCommand, HeadObjectCommand, PutObjectCommand, S3Client } = require("@aws-sdk/client-s3");
const { createPresignedPost } = require("@aws-sdk/s3-presigned-post");
const { getSignedUrl } = require("@aws-sdk/s3-request-presigner");

const USER = "user_42";
const LIMIT = 1024;
const REGION = "eu-north-1";
const SECRET = "s3-interop-secret-0123456789abcdef0123456789abcdef";
// What AWS STS gives out: longer, and with characters that an address must escape.
const TOKEN = "FwoGZXIvYXdzEBYaDEx+u/0123456789abcdef==";
const KEYS = { AKIDLONGLIVED0000001: [SECRET, null], ASIATEMPORARY0000001: [SECRET, TOKEN] };

/** The two sorts of keys: of an account, and temporary ones. */
const sorts = {
  "a long-lived key": { name: "lasting", id: "AKIDLONGLIVED0000001", key: "" },
  "temporary credentials": {
    name: "temporary",
    id: "ASIATEMPORARY0000001",
    key: ', session_token = "env:AWS_SESSION_TOKEN"',
    sessionToken: TOKEN,
  },
};

let server, gateway, endpoint, cookie;

before(async () => {
  const here = (path) => fileURLToPath(new URL(`vendors/${path}`, import.meta.url));
  server = new Child(here(".venv/bin/python"), [here("s3.py"), JSON.stringify(KEYS)], { env: {} });
  const port = await server.heard("its port", (line) => line.match(/^\d+$/)?.[0] ?? null);
  endpoint = `http://127.0.0.1:${port}`;
  gateway = await Gateway.start(settings(), { NEXTAUTH_SECRET, AWS_SECRET: SECRET, AWS_SESSION_TOKEN: TOKEN });
  cookie = await cookieOf(USER, {});
  gateway.keepSecret(cookie.slice(cookie.indexOf("=") + 1));
  await client("lasting").send(new CreateBucketCommand({ Bucket: "uploads" }));
}, { timeout: 240_000 });

after(() => {
  gateway?.kill();
  server?.kill();
});

function settings() {
  const tables = Object.values(sorts).map(({ name, id, key }) => {
    const shared = `
key = { access_key_id = "${id}", secret_access_key = "env:AWS_SECRET"${key} }
params.bucket = "uploads"
params.region = "${REGION}"
params.endpoint = "${endpoint}"
params.max_size = "1KiB"`;
    const object = `
request.object = { from = "json:key", allow = ["users/{session.user_id}/*"] }`;
    return `
[token.post-${name}]
path = "/post-${name}"
preset = "s3-post"${shared}
params.prefix = "users/{session.user_id}/"
params.content_type = "image/*"

[token.put-${name}]
path = "/put-${name}"
preset = "s3-presign"${shared}${object}
request.size = { from = "json:size", allow = ["*"] }
request.content_type = { from = "json:type", allow = ["image/*"] }

[token.get-${name}]
path = "/get-${name}"
preset = "s3-presign"
params.method = "GET"${shared}${object}`;
  });
  return `
[upstream]
servers = ["http://127.0.0.1:1"]

[session]
kind = "next-auth"
secret = "env:NEXTAUTH_SECRET"
${tables.join("\n")}`;
}

function client(sort) {
  const { id, sessionToken } = Object.values(sorts).find(({ name }) => name === sort);
  return new S3Client({
    credentials: { accessKeyId: id, secretAccessKey: SECRET, sessionToken },
    region: REGION,
    endpoint,
    forcePathStyle: true,
    requestChecksumCalculation: "WHEN_REQUIRED",
  });
}

/** The gateway's answer to the signed-in user. */
async function ask(path, json = {}, status = 200) {
  const headers = { cookie, "content-type": "application/json" };
  const response = await fetch(gateway.url + path, { method: "POST", headers, body: JSON.stringify(json) });
  assert.equal(response.status, status, path);
  return response.json();
}

const stamped = (text) => new Date(text.replace(/(\d{4})(..)(..T..)(..)(..Z)/, "$1-$2-$3:$4:$5"));
const at = (url) => stamped(new URL(url).searchParams.get("X-Amz-Date"));

const sizes = [[0, true], [1, true], [LIMIT, true], [LIMIT + 1, false]];
const kinds = [["image/png", true], ["text/html", false]];
const keys = [
  [`users/${USER}/a.png`, true],
  [`users/${USER}/deep/b é+ü.png`, true],
  ["users/user_4/a.png", false],
  [`users/${USER}x/a.png`, false],
  ["a.png", false],
];

/** Forty uploads, and whether a form for images of at most 1 KiB below the user's prefix allows them. */
const uploads = sizes.flatMap(([size, fits]) =>
  kinds.flatMap(([kind, image]) => keys.map(([key, own]) => ({ size, kind, key, right: fits && image && own }))),
);

/** Uploads through a form, as a browser would; `more` are fields that it adds or changes. */
async function submit({ url, fields }, { size, kind, key }, more = {}) {
  const form = new FormData();
  for (const [name, value] of Object.entries({ ...fields, key, "Content-Type": kind, ...more })) form.append(name, value);
  form.append("file", new Blob(["x".repeat(size)], { type: kind }), "file.png");
  const response = await fetch(url, { method: "POST", body: form });
  await response.text();
  return response.status;
}

for (const [sort, { name, sessionToken }] of Object.entries(sorts)) {
  const promise = (sentence, work) => test(`with ${sort} ${sentence}`, { timeout: 240_000 }, work);

  /** The form AWS's library makes at the same time. */
  async function twin(form) {
    const aws = client(name);
    for (;;) {
      aws.config.systemClockOffset = stamped(form.fields["X-Amz-Date"]).getTime() + 500 - Date.now();
      const made = await createPresignedPost(aws, {
        Bucket: "uploads",
        Key: `users/${USER}/\${filename}`,
        Conditions: [["content-length-range", 0, LIMIT], ["starts-with", "$Content-Type", "image/"]],
        Expires: 300,
      });
      // On a busy machine, half a second may have gone by.
      if (made.fields["X-Amz-Date"] === form.fields["X-Amz-Date"]) return made;
    }
  }

  promise("a form is the one of AWS's library, policy and signature included", async () => {
    const form = await ask(`/post-${name}`);
    assert.deepEqual(form, await twin(form));
    assert.equal(form.fields["X-Amz-Security-Token"], sessionToken);
  });

  promise("the server takes and refuses the same 40 uploads through both forms", async () => {
    const form = await ask(`/post-${name}`);
    const theirs = await twin(form);
    for (const upload of uploads) {
      const wanted = upload.right ? 204 : 403;
      assert.deepEqual([await submit(form, upload), await submit(theirs, upload)], [wanted, wanted], JSON.stringify(upload));
    }
    assert.equal(uploads.length, 40);
    const stored = await client(name).send(new HeadObjectCommand({ Bucket: "uploads", Key: keys[1][0] }));
    assert.equal(stored.ContentLength, LIMIT);
  });

  promise("a form that somebody changed is refused", async () => {
    const form = await ask(`/post-${name}`);
    const upload = { size: 1, kind: "image/png", key: `users/${USER}/c.png` };
    assert.equal(await submit(form, upload), 204);
    const policy = JSON.parse(Buffer.from(form.fields.Policy, "base64"));
    policy.conditions = policy.conditions.filter((condition) => condition[1] !== "$key");
    for (const more of [
      { Policy: Buffer.from(JSON.stringify(policy)).toString("base64") },
      { "X-Amz-Date": "20990101T000000Z" },
      { "X-Amz-Credential": form.fields["X-Amz-Credential"].replace(REGION, "us-east-1") },
      { "X-Amz-Security-Token": "another" },
      { acl: "public-read" },
      { key: `users/${USER}` },
      { bucket: "others" },
    ]) {
      assert.equal(await submit(form, upload, more), 403, JSON.stringify(more));
    }
  });

  const signable = new Set(["host", "content-type", "content-length"]);

  async function presigned() {
    const [key, size, type] = [`users/${USER}/a b+é.png`, LIMIT, "image/png"];
    const { url, headers } = await ask(`/put-${name}`, { key, size: String(size), type });
    const command = new PutObjectCommand({ Bucket: "uploads", Key: key, ContentType: type, ContentLength: size });
    const theirs = await getSignedUrl(client(name), command, { expiresIn: 300, signingDate: at(url), signableHeaders: signable });
    return { url, theirs, headers };
  }

  promise("a presigned upload is the one of AWS's library", async () => {
    const { url, theirs, headers } = await presigned();
    const parts = (url) => [url.split("?")[0], Object.fromEntries(new URL(url).searchParams)];
    assert.deepEqual(parts(url), parts(theirs));
    assert.equal(new URL(url).searchParams.get("X-Amz-Security-Token"), sessionToken ?? null);
    assert.deepEqual(headers, { "content-type": "image/png" });
  });

  promise("the server takes and refuses the same 40 uploads to both addresses", async () => {
    const { url, theirs } = await presigned();
    const put = async (url, key, size, type) => {
      const address = url.replace(/\/uploads\/.*\?/, `/uploads/${key}?`);
      const response = await fetch(address, { method: "PUT", headers: { "content-type": type }, body: "x".repeat(size) });
      await response.text();
      return response.status;
    };
    const [own] = url.match(/users\/.*(?=\?)/);
    const others = [own, "users/user_4/a.png", `users/${USER}/other.png`, `users/${USER}/../user_4/a.png`, `${own}/`];
    let tried = 0;
    for (const size of [0, 1, LIMIT, LIMIT + 1]) {
      for (const type of ["image/png", "text/html"]) {
        for (const key of others) {
          const wanted = size === LIMIT && type === "image/png" && key === own ? 200 : 403;
          const verdicts = [await put(url, key, size, type), await put(theirs, key, size, type)];
          assert.deepEqual(verdicts, [wanted, wanted], `${size} ${type} ${key}`);
          tried += 1;
        }
      }
    }
    assert.equal(tried, 40);
  });

  promise("a presigned download is the one of AWS's library, and reads that file alone", async () => {
    const key = `users/${USER}/a b+é.png`;
    const { url } = await ask(`/get-${name}`, { key });
    const command = new GetObjectCommand({ Bucket: "uploads", Key: key });
    const theirs = await getSignedUrl(client(name), command, { expiresIn: 300, signingDate: at(url) });
    const query = (url) => Object.fromEntries(new URL(url).searchParams);
    const { "x-amz-checksum-mode": _, "X-Amz-Signature": mine, ...twin } = query(theirs);
    const { "X-Amz-Signature": signature, ...ours } = query(url);
    assert.deepEqual(ours, twin);
    const status = async (url) => {
      const response = await fetch(url);
      await response.text();
      return response.status;
    };
    assert.deepEqual([await status(url), await status(theirs)], [200, 200]);
    for (const [part, other] of [
      ["a%20b", "a%20c"],
      [USER, "user_4"],
      ["X-Amz-Expires=300", "X-Amz-Expires=3000"],
      [signature, mine.replace(/./g, "0")],
      ["x-id=GetObject", "x-id=GetObject&versionId=1"],
    ]) {
      assert.ok(url.includes(part), part);
      assert.equal(await status(url.replace(part, other)), 403, part);
    }
    await ask(`/get-${name}`, { key: "users/user_4/a.png" }, 403);
  });
}

test("the gateway stops when asked, and printed no key, cookie or token", () => gateway.stop());
