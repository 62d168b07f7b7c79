// Verifies the cookies in a file of JSON lines with `portcullis session`, and prints kind × version × verified.

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

const rows = readFileSync(process.argv[2], "utf8").trim().split("\n").map((line) => JSON.parse(line));
const env = {};
let failed = 0;

console.log("| kind | library | version | verified |\n|---|---|---|---|");
for (const row of rows) {
  const verdict = row.needs ? `not checked: needs ${row.needs}` : row.error ? `not made: ${row.error}` : judged(row);
  if (verdict !== "yes" && !row.needs) failed += 1;
  console.log(`| ${row.kind ?? ""} | ${row.library} | ${row.version ?? ""} | ${verdict} |`);
}
process.exit(failed > 0 ? 1 : 0);

function judged({ kind, cookie, settings, user }) {
  writeFileSync("gateway.toml", `[upstream]\nservers = ["http://127.0.0.1:1"]\n[session]\nkind = "${kind}"\n${lines(settings)}`);
  const args = ["session", "--config", "gateway.toml", "--cookie", cookie, "--json"];
  let said;
  try {
    said = execFileSync(process.env.PORTCULLIS, args, { env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    said = error.stdout || `{"detail": ${JSON.stringify(error.stderr || error.message)}}`;
  }
  const { user_id, detail } = JSON.parse(said);
  return user_id === user ? "yes" : `no: ${detail ?? `user ${user_id}`}`;
}

/** Settings as TOML; secrets go by way of the environment. */
function lines(settings) {
  let tables = "";
  const reference = (value) => {
    const name = `SECRET_${Object.keys(env).length}`;
    env[name] = value;
    return `"env:${name}"`;
  };
  const line = ([key, value]) => {
    if (["public_key", "publishable_key", "secret", "url"].includes(key)) return `${key} = ${reference(value)}\n`;
    if (key === "keys") return `${key} = [${value.map(reference).join(", ")}]\n`;
    if (typeof value === "object") {
      tables += `[session.${key}]\n${Object.entries(value).map(line).join("")}`;
      return "";
    }
    return `${key} = ${JSON.stringify(value)}\n`;
  };
  return Object.entries(settings).map(line).join("") + tables;
}
