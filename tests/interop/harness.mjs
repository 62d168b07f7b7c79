// The gateway as a user runs it: one file, the environment, a process. Tests talk to it over sockets.
//
// Every gateway is stopped with SIGTERM and must then exit 0, and whatever a test tells it to keep
// secret must not stand in anything it printed.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child } from "./support/child.mjs";

/** The binary under test: `PORTCULLIS`, or else what cargo built here. */
export function binary() {
  const target = process.env.CARGO_TARGET_DIR ?? fileURLToPath(new URL("../../target", import.meta.url));
  const candidates = [process.env.PORTCULLIS, join(target, "debug/portcullis"), join(target, "release/portcullis")];
  const found = candidates.find((path) => path && existsSync(path));
  assert.ok(found, "no gateway to test: run `cargo build`, or set PORTCULLIS");
  return found;
}

export class Gateway {
  #child;
  #folder;
  #secrets = new Set();

  /**
   * Runs the gateway with a gateway.toml of `settings` below a `[server]` table on free ports.
   * The values of `env` are its secrets.
   */
  static async start(settings, env) {
    const folder = await mkdtemp(join(tmpdir(), "portcullis-"));
    const file = join(folder, "gateway.toml");
    await writeFile(file, `[server]\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n${settings}`);
    const gateway = new Gateway();
    gateway.#folder = folder;
    gateway.#child = new Child(binary(), ["run", "--config", file], { cwd: folder, env });
    Object.values(env).forEach((value) => gateway.keepSecret(value));
    gateway.url = await gateway.#child.heard("where it listens", addressIn("listening"));
    gateway.admin = await gateway.#child.heard("where its admin listens", addressIn("admin listening"));
    return gateway;
  }

  get output() {
    return this.#child.output;
  }

  /** From now until it stops, none of these may appear in what the gateway prints. */
  keepSecret(...values) {
    for (const value of values) {
      // Of a token or a combined key, the part that makes it work is as secret as the whole.
      this.#secrets.add(value).add(value.split(value.includes(".") ? "." : "_").at(-1));
    }
  }

  /** The value of one series in `/metrics`, such as `portcullis_mints_total{token="portive"}`; absent is 0. */
  async metric(series) {
    const response = await fetch(`${this.admin}/metrics`);
    assert.equal(response.status, 200, "the admin listener serves metrics");
    const line = (await response.text()).split("\n").find((line) => line.startsWith(`${series} `));
    return line ? Number(line.slice(series.length)) : 0;
  }

  async stop() {
    const how = await this.#child.stop();
    await rm(this.#folder, { recursive: true, force: true });
    assert.deepEqual(how, { code: 0, signal: null }, `SIGTERM ends the gateway well\n${this.output}`);
    for (const secret of this.#secrets) {
      // The message must not repeat it either.
      assert.ok(!this.output.includes(secret), `the gateway printed a secret of ${secret.length} characters`);
    }
  }
}

// Log lines are JSON; their fields may stand at the top or under `fields`.
function addressIn(message) {
  return (line) => {
    if (!line.startsWith("{")) return null;
    const { fields, ...top } = JSON.parse(line);
    const said = { ...top, ...fields };
    return said.message === message ? `http://${said.address}` : null;
  };
}
