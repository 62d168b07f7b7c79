// The gateway as a user runs it: one file, the environment, a process. Tests talk to it over sockets.
//
// Each test file ends with `stop`: SIGTERM must end the gateway with exit code 0, and nothing it was
// given to keep secret may stand in anything it printed. `kill` is for cleaning up, whatever happened.

import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child } from "./support/child.mjs";

/** The binary under test: `PORTCULLIS`, or else what cargo built here. */
export function binary() {
  const target = process.env.CARGO_TARGET_DIR ?? fileURLToPath(new URL("../../target", import.meta.url));
  const built = ["debug/portcullis", "release/portcullis"].map((path) => join(target, path));
  const found = [process.env.PORTCULLIS ?? built].flat().find(existsSync);
  assert.ok(found, "no gateway to test: run `cargo build`, or set PORTCULLIS");
  return found;
}

export class Gateway {
  #child;
  #file;
  #folder;
  #secrets = new Set();

  /**
   * Runs the gateway with a gateway.toml of `settings` below a `[server]` table on free ports.
   * The values of `env` are its secrets. `through` is a command that runs it.
   */
  static async start(settings, env, through = []) {
    const folder = mkdtempSync(join(tmpdir(), "portcullis-"));
    const file = join(folder, "gateway.toml");
    writeFileSync(file, `[server]\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n${settings}`);
    const gateway = new Gateway();
    gateway.#folder = folder;
    gateway.#file = file;
    const [program, ...args] = [...through, binary(), "run", "--config", file];
    gateway.#child = new Child(program, args, { cwd: folder, env });
    Object.values(env).forEach((value) => gateway.keepSecret(value));
    try {
      gateway.url = await gateway.#child.heard("where it listens", addressIn("listening"));
      gateway.admin = await gateway.#child.heard("where its admin listens", addressIn("admin listening"));
      if (settings.includes("[auth]")) {
        gateway.auth = await gateway.#child.heard("where it is asked", addressIn("auth listening"));
      }
      return gateway;
    } catch (error) {
      gateway.kill();
      throw error;
    }
  }

  /** Waits until nothing is missing that requests need, such as keys that the app publishes. */
  async ready() {
    const until = Date.now() + 60_000;
    for (;;) {
      const answer = await fetch(`${this.admin}/readyz`);
      const said = await answer.text();
      if (answer.status === 200) return;
      assert.ok(Date.now() < until, `not ready: ${said}\n${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  get output() {
    return this.#child.output;
  }

  get pid() {
    return this.#child.pid;
  }

  /** Another text of its file, which it reads by itself: the old one or the new one, never a part. */
  rewrite(change) {
    writeFileSync(`${this.#file}.next`, change(readFileSync(this.#file, "utf8")));
    renameSync(`${this.#file}.next`, this.#file);
  }

  /** A path in its folder. */
  path(name) {
    return join(this.#folder, name);
  }

  /** From now until it stops, none of these may appear in what the gateway prints. */
  keepSecret(...values) {
    for (const value of values) {
      // Of a token or a combined key, the part that makes it work is as secret as the whole. A random
      // value may end with the separator: a part that short is no secret of its own.
      const part = value.split(value.includes(".") ? "." : "_").at(-1);
      this.#secrets.add(value);
      if (part.length >= 8) this.#secrets.add(part);
    }
  }

  /** The value of one series in `/metrics`, such as `portcullis_mints_total{token="portive"}`; absent is 0. */
  async metric(series) {
    const response = await fetch(`${this.admin}/metrics`);
    assert.equal(response.status, 200, "the admin listener serves metrics");
    const line = (await response.text()).split("\n").find((line) => line.startsWith(`${series} `));
    return line ? Number(line.slice(series.length)) : 0;
  }

  /** What an operator asks of the admin listener: `{ user }` or `{ cookie }`. */
  async revoke(body) {
    // As curl asks: `fetch` says that it is a browser.
    const asked = request(`${this.admin}/revoke`, { method: "POST", headers: { "Content-Type": "application/json" } });
    asked.end(JSON.stringify(body));
    const [answer] = await once(asked, "response");
    answer.resume();
    assert.equal(answer.statusCode, 200, "a revocation is in force");
  }

  async stop() {
    const how = await this.#child.stop();
    assert.deepEqual(how, { code: 0, signal: null }, `SIGTERM ends the gateway well\n${this.output}`);
    for (const secret of this.#secrets) {
      // The message must not repeat it either.
      assert.ok(!this.output.includes(secret), `the gateway printed a secret of ${secret.length} characters`);
    }
  }

  kill() {
    this.#child.kill();
    rmSync(this.#folder, { recursive: true, force: true });
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
