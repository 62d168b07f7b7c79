// Session cookies as next-auth itself makes them.

import { createRequire } from "node:module";

const { encode } = createRequire(import.meta.url)("next-auth/jwt");

export const NEXTAUTH_SECRET = "interop-nextauth-secret-0123456789abcdef";

const MONTH = 30 * 24 * 60 * 60;

/** The `Cookie` header of a user's browser; `maxAge` in seconds may lie in the past. */
export async function cookieOf(user, { maxAge = MONTH, secret = NEXTAUTH_SECRET, ...claims } = {}) {
  const token = { sub: user, name: "Ada Lovelace", email: "ada@example.com", ...claims };
  return `next-auth.session-token=${await encode({ token, secret, maxAge })}`;
}
