// The Next.js app in `next-app/`, built and started the way its team does it.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { Child } from "./child.mjs";

const next = createRequire(import.meta.url).resolve("next/dist/bin/next");
const cwd = fileURLToPath(new URL("../next-app", import.meta.url));
const quiet = { HOME: tmpdir(), NEXT_TELEMETRY_DISABLED: "1", NEXT_IGNORE_INCORRECT_LOCKFILE: "1" };

export class NextApp {
  #child;

  /** `folder` may be a copy with settings of its own. */
  static async build(folder = cwd) {
    const build = new Child(process.execPath, [next, "build"], { cwd: folder, env: quiet });
    assert.deepEqual(await build.ended(240_000), { code: 0, signal: null }, `next build\n${build.output}`);
  }

  static async start(env, { folder = cwd, port = 0 } = {}) {
    const app = new NextApp();
    const options = ["--hostname", "127.0.0.1", "--port", String(port)];
    app.#child = new Child(process.execPath, [next, "start", ...options], { cwd: folder, env: { ...quiet, ...env } });
    const address = (line) => line.match(/Local:\s+(http:\S+)/)?.[1];
    try {
      app.url = await app.#child.heard("where it listens", address, 60_000);
      return app;
    } catch (error) {
      app.kill();
      throw error;
    }
  }

  /** The environment the system knows the running app by. */
  environment() {
    return readFile(`/proc/${this.#child.pid}/environ`, "utf8");
  }

  get output() {
    return this.#child.output;
  }

  kill() {
    this.#child.kill();
  }
}
