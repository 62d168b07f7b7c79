// better-auth with e-mail and password, on PostgreSQL. COOKIE_CACHE turns on the session cache in a cookie.

import { betterAuth } from "better-auth";
import pg from "pg";

export const auth = betterAuth({
  baseURL: process.env.PUBLIC_URL,
  secret: process.env.BETTER_AUTH_SECRET,
  database: new pg.Pool({ connectionString: process.env.DATABASE_URL }),
  emailAndPassword: { enabled: true },
  session: process.env.COOKIE_CACHE ? { cookieCache: { enabled: true, maxAge: 5 * 60 } } : {},
});
