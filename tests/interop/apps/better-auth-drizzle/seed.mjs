// Makes the tables and two people, as `npx drizzle-kit push` and a sign-up page would.

import { auth, pool } from "./auth.mjs";
import { STATEMENTS } from "./schema.mjs";

await pool.query(STATEMENTS);

for (const [name, password] of [["ada", "analytical engine"], ["bob", "tabulating machine"]]) {
  const { user } = await auth.api.signUpEmail({ body: { name, password, email: `${name}@example.com` } });
  console.log(`${name}: ${user.id}`);
}
process.exit();
