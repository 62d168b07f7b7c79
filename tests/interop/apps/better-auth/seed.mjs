// Makes the tables and two people, as `npx @better-auth/cli migrate` and a sign-up page would.

import { getMigrations } from "better-auth/db/migration";
import { auth } from "./auth.mjs";

const { runMigrations } = await getMigrations(auth.options);
await runMigrations();

for (const [name, password] of [["ada", "analytical engine"], ["bob", "tabulating machine"]]) {
  const { user } = await auth.api.signUpEmail({ body: { name, password, email: `${name}@example.com` } });
  console.log(`${name}: ${user.id}`);
}
process.exit();
