// Asks `judge.py`, which keeps running between questions.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

export class Python {
  #child = spawn(here(".venv/bin/python"), [here("judge.py")], { stdio: ["pipe", "pipe", "inherit"] });
  #verdicts = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();

  /** The claims of a token that `judge` accepts, or an error. One question at a time. */
  async claims(judge, question) {
    this.#child.stdin.write(`${JSON.stringify({ judge, ...question })}\n`);
    const { value } = await this.#verdicts.next();
    if (!value) throw new Error("judge.py ended");
    const { claims, refused } = JSON.parse(value);
    if (refused) throw new Error(`${judge} refused: ${refused}`);
    return claims;
  }

  close() {
    this.#child.stdin.end();
  }
}
