// A single-page app without cookies, and the small issuer it signs in at: the page keeps its access token in memory
// and sends it in `Authorization`. Tokens are jose's, their keys published as a JWKS.

import { once } from "node:events";
import { request } from "node:http";
import express from "express";
import { exportJWK, generateKeyPair, jwtVerify, SignJWT } from "jose";
import { PAGE } from "./page.mjs";

const users = [
  { id: "17", username: "ada", password: "analytical engine" },
  { id: "18", username: "bob", password: "tabulating machine" },
];
const issuer = "https://shop.example.com";
const audience = "shop";
const { publicKey, privateKey } = await generateKeyPair("ES256");
const jwk = { ...(await exportJWK(publicKey)), alg: "ES256", kid: "key-1", use: "sig" };

const app = express();
app.use(express.json());

app.get("/.well-known/jwks.json", (_, response) => response.json({ keys: [jwk] }));

app.post("/token", async (asked, response) => {
  const { username, password, expires_in = 300 } = asked.body;
  const user = users.find((user) => user.username === username && user.password === password);
  if (!user) return response.status(401).json({ error: "invalid_grant" });
  const token = new SignJWT({}).setProtectedHeader({ alg: "ES256", kid: jwk.kid, typ: "at+jwt" });
  token.setIssuer(issuer).setAudience(audience).setSubject(user.id).setIssuedAt();
  // A page may ask for a shorter life than the usual one.
  token.setExpirationTime(`${Math.min(expires_in, 300)}s`);
  response.json({ access_token: await token.sign(privateKey), token_type: "Bearer" });
});

/** Whose token a request carries, if anybody's. */
async function signedIn(asked) {
  const [, token] = asked.get("Authorization")?.match(/^Bearer (\S+)$/) ?? [];
  const checks = { issuer, audience, typ: "at+jwt", algorithms: ["ES256"] };
  const id = token && (await jwtVerify(token, publicKey, checks).catch(() => null))?.payload.sub;
  return users.find((user) => user.id === id) ?? null;
}

// Nobody can take a token back that verifies by itself: the gateway is told that its user is signed out.
app.post("/sign-out", async (asked, response) => {
  const user = await signedIn(asked);
  if (user) await revoke({ user: user.id });
  response.status(204).end();
});

async function revoke(body) {
  const headers = { "Content-Type": "application/json" };
  const asked = request(`${process.env.ADMIN_URL}/revoke`, { method: "POST", headers });
  asked.end(JSON.stringify(body));
  const [answer] = await once(asked, "response");
  answer.resume();
  if (answer.statusCode !== 200) throw new Error(`/revoke answered ${answer.statusCode}`);
}

app.get("/whoami", async (asked, response) => {
  response.json({ user: (await signedIn(asked))?.username ?? null, header: asked.get("X-Auth-User") ?? null });
});

app.get("/login", (_, response) => response.send(PAGE));

const server = app.listen(process.env.PORT ?? 3000, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
