// One process under test: everything it prints is kept, and it never outlives the test run.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const WITHIN = 60_000;

const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill()));
for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"]) {
  process.on(signal, () => process.exit(1));
}

export class Child {
  #process;
  #ended;
  #lines = [];
  #listeners = new Set();

  /** Starts `command` with the environment given and nothing of ours but PATH. */
  constructor(command, args = [], { cwd, env = {} } = {}) {
    this.name = [command, ...args].join(" ");
    // Its own process group, so that whatever it starts ends with it.
    this.#process = spawn(command, args, {
      cwd,
      env: { PATH: process.env.PATH, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    running.add(this);
    this.#ended = this.#watch();
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        this.#lines.push(line);
        this.#listeners.forEach((listener) => listener.line(line));
      });
    }
  }

  get pid() {
    return this.#process.pid;
  }

  /** Everything printed so far, both streams, in the order it came. */
  get output() {
    return this.#lines.join("\n");
  }

  /** What `read` finds in the first line where it finds anything, printed before or after this call. */
  heard(what, read, within = WITHIN) {
    for (const line of this.#lines) {
      const found = read(line);
      if (found != null) return Promise.resolve(found);
    }
    const listener = {};
    const found = new Promise((resolve, reject) => {
      listener.line = (line) => {
        const found = read(line);
        if (found != null) resolve(found);
      };
      listener.end = (how) => reject(new Error(`${this.name} never said ${what}, ${how}\n${this.output}`));
    });
    this.#listeners.add(listener);
    const timer = setTimeout(() => listener.end(`${within} ms long`), within);
    return found.finally(() => {
      clearTimeout(timer);
      this.#listeners.delete(listener);
    });
  }

  /** How it ended: `{ code, signal }`, or `{ error }` when it could not be started. */
  ended(within = WITHIN) {
    let timer;
    const late = new Promise((_, reject) => {
      const refuse = () => reject(new Error(`${this.name} still runs after ${within} ms\n${this.output}`));
      timer = setTimeout(refuse, within);
    });
    return Promise.race([this.#ended, late]).finally(() => clearTimeout(timer));
  }

  /** Asks it to stop, as a service manager would, and tells how it ended. */
  async stop(within = WITHIN, signal = "SIGTERM") {
    this.#process.kill(signal);
    try {
      return await this.ended(within);
    } finally {
      this.kill();
    }
  }

  kill() {
    try {
      process.kill(-this.pid, "SIGKILL");
    } catch {
      // It has ended already, or never started.
    }
  }

  async #watch() {
    const how = await new Promise((resolve) => {
      this.#process.once("error", (error) => resolve({ error: error.message }));
      this.#process.once("close", (code, signal) => resolve({ code, signal }));
    });
    running.delete(this);
    this.#listeners.forEach((listener) => listener.end(`and ended with ${JSON.stringify(how)}`));
    return how;
  }
}
