// The profile-guided build. It is made with the settings for development, which takes a third of the time.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const top = fileURLToPath(new URL("../..", import.meta.url));
const script = join(top, "deploy/build/profile-guided");
const SLOW = 1_500_000;

test("the program built with a profile answers every request of the profile", { timeout: SLOW }, () => {
  const env = { ...process.env, CARGO_TERM_COLOR: "never" };
  const built = spawnSync(script, ["--profile", "dev"], { encoding: "utf8", env, maxBuffer: 1e8 });
  assert.equal(built.status, 0, built.stderr.slice(-4000));
  assert.doesNotMatch(built.stderr, /hash mismatch|profile data may be (out of date|corrupt)/, "the counters are of another program");
  const program = built.stdout.trim().split("\n").at(-1);
  assert.match(execFileSync(program, ["--version"], { encoding: "utf8" }), /^portcullis \d/);
  const counts = spawnSync(program, ["--version"], { env: { ...process.env, LLVM_PROFILE_FILE: "/nowhere/counts" }, encoding: "utf8" });
  assert.equal(counts.stderr, "", "the program does not count any more");
  execFileSync("python3", [join(top, "tests/bench/profile.py")], { env: { ...process.env, PORTCULLIS: program } });
});

test("without the compiler's own llvm-profdata the script says what to install", () => {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-profile-"));
  try {
    const rustc = join(folder, "rustc");
    writeFileSync(rustc, "#!/bin/sh\nprintf 'host: here\\nLLVM version: 1.2.3\\n'\n");
    chmodSync(rustc, 0o755);
    const env = { ...process.env, PATH: `${folder}:${process.env.PATH}`, CARGO_TARGET_DIR: folder };
    const said = spawnSync(script, [], { encoding: "utf8", env });
    const wanted = "llvm-profdata of LLVM 1 is missing: rustup component add llvm-tools, or apt-get install llvm-1\n";
    assert.deepEqual([said.status, said.stdout, said.stderr], [1, "", wanted]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
