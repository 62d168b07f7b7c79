// The apps under test, one row each: how its team starts it, what it shares with the gateway, who may sign in.
//
//   folder    of the app; its gateway.toml is the one to be tested, `config` names another
//   command   starts it, as its team would; it prints its address, which `listening` finds
//   secrets   the environment that the app and the gateway share; `foreign` is another team's
//   store     the server its sessions are in, whose address is added to that environment
//   cookie    the name of its session cookie, by the framework's own default
//   signOut   "at once" where gateway.toml has `logout_paths`, "in the store" where the store alone tells

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Redis } from "../support/stores.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const node = process.execPath;

const ADA = { username: "ada", password: "analytical engine", id: "17" };
const BOB = { username: "bob", password: "tabulating machine", id: "18" };

const common = { config: "gateway.toml", people: [ADA, BOB], env: {}, prepare: [] };

const rows = [
  {
    title: "Express with Passport, sessions in Redis",
    folder: "express",
    command: [node, "app.mjs"],
    listening: /listening on (http:\S+)/,
    secrets: { SESSION_SECRET: "interop-express-secret-0123456789" },
    foreign: { SESSION_SECRET: "another-express-secret-0123456789" },
    store: Redis,
    cookie: "connect.sid",
    signOut: "in the store",
  },
];

export const table = rows.map((row) => ({ ...common, ...row, folder: join(here, row.folder) }));
