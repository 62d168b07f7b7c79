// `jose`, the verifier most Node servers use.

import { createPublicKey, webcrypto } from "node:crypto";

// Node 18 has it, but not as a global.
globalThis.crypto ??= webcrypto;
const { jwtVerify } = await import("jose");

/** What `jose` reads in a token, or its error. */
export function verified(token, { algorithm, key, audience, issuer }) {
  const material = algorithm.startsWith("HS") ? new TextEncoder().encode(key) : createPublicKey(key);
  return jwtVerify(token, material, { algorithms: [algorithm], audience, issuer });
}
