// The Python recipe of `deploy/guides/howto/identity.md`, run as it stands there on what a real gateway told its app.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Gateway } from "./harness.mjs";

const PAGE = new URL("../../deploy/guides/howto/identity.md", import.meta.url);
const PYTHON = fileURLToPath(new URL("vendors/.venv/bin/python", import.meta.url));
const JWT_SECRET = "interop-jwt-secret-0123456789abcdef";
const ASSERTION_KEY = "interop-assertion-key-0123456789abcdef";

const recipe = readFileSync(PAGE, "utf8").match(/```python\n(.*?)```/s)[1];
let app, gateway, seen;

before(async () => {
  app = createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
    seen = request.headers["x-portcullis-assertion"];
    response.end();
  }).listen(0, "127.0.0.1");
  await once(app, "listening");
  const settings = `
[upstream]
servers = ["http://127.0.0.1:${app.address().port}"]

[session]
kind = "jwt"
cookie = "token"
secret = "env:JWT_SECRET"

[identity]
assertion = { key = "env:ASSERTION_KEY", audience = "my-app" }`;
  gateway = await Gateway.start(settings, { JWT_SECRET, ASSERTION_KEY });
});

after(() => {
  gateway?.kill();
  app?.close();
});

test("the recipe accepts what the gateway signed, and says who it is", async () => {
  const exp = Math.floor(Date.now() / 1000) + 600;
  const cookie = `token=${signed({ typ: "JWT" }, { sub: "ada", exp }, JWT_SECRET)}`;
  assert.equal((await fetch(gateway.url, { headers: { cookie } })).status, 200);
  assert.equal(verified(seen), "ada");
});

test("the recipe refuses another type, another audience and another key", () => {
  const right = { sub: "eve", aud: "my-app", iss: "portcullis", exp: Math.floor(Date.now() / 1000) + 600 };
  const typ = "portcullis-identity+jwt";
  assert.equal(verified(signed({ typ }, right, ASSERTION_KEY)), "eve");
  for (const [header, claims, key] of [
    [{ typ: "JWT" }, right, ASSERTION_KEY],
    [{ typ }, { ...right, aud: "another-app" }, ASSERTION_KEY],
    [{ typ }, { ...right, iss: "another" }, ASSERTION_KEY],
    [{ typ }, { ...right, exp: 1 }, ASSERTION_KEY],
    [{ typ }, right, JWT_SECRET],
  ]) {
    assert.throws(() => verified(signed(header, claims, key)), /Error/);
  }
});

test("the gateway ends well", () => gateway.stop());

/** The user id the recipe ends with, or an error. */
function verified(assertion) {
  const program = `
import json, sys
from types import SimpleNamespace
import jwt
key = sys.argv[1]
request = SimpleNamespace(headers={"X-Portcullis-Assertion": sys.argv[2]})
${recipe}
print(claims["sub"], end="")`;
  const quiet = { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] };
  return execFileSync(PYTHON, ["-c", program, ASSERTION_KEY, assertion], quiet);
}

function signed(header, claims, key) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: "HS256", ...header })}.${part(claims)}`;
  return `${text}.${createHmac("sha256", key).update(text).digest("base64url")}`;
}
