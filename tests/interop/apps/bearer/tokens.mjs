// Tokens that the page does not fetch: a stranger's, and one that ends soon.

import assert from "node:assert/strict";
import { generateKeyPair, SignJWT } from "jose";

/** All that the issuer says, under its key's name, but signed with another key. */
export async function forgedToken(id) {
  const { privateKey } = await generateKeyPair("ES256");
  const token = new SignJWT({}).setProtectedHeader({ alg: "ES256", kid: "key-1", typ: "at+jwt" });
  token.setIssuer("https://shop.example.com").setAudience("shop").setSubject(id).setIssuedAt();
  return token.setExpirationTime("5m").sign(privateKey);
}

export async function briefToken(url, { username, password }) {
  const body = JSON.stringify({ username, password, expires_in: 3 });
  const response = await fetch(`${url}/token`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  assert.equal(response.status, 200);
  return (await response.json()).access_token;
}
