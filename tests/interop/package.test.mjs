// The Debian package: built by its script, installed into a folder of its own, started as its user by the lines
// of its own unit. Then the files of deploy/ that only other programs run, as far as a checker can judge them.

import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { binary } from "./harness.mjs";

const top = fileURLToPath(new URL("../..", import.meta.url));
const SLOW = 300_000;
const run = (program, args, options = {}) => execFileSync(program, args, { encoding: "utf8", ...options });

let folder, deb, symbols, sbom, root;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "portcullis-package-"));
  chmodSync(folder, 0o755);
  const built = run(join(top, "deploy/package/build"), ["--binary", binary(), join(folder, "out")]);
  [deb, symbols, sbom] = built.trim().split("\n");
  root = join(folder, "root");
  for (const name of ["etc", "var/lib/dpkg/info", "var/lib/dpkg/updates"]) {
    mkdirSync(join(root, name), { recursive: true });
  }
  writeFileSync(join(root, "var/lib/dpkg/status"), "");
}, { timeout: SLOW });

after(() => rmSync(folder, { recursive: true, force: true }));

const dpkg = (...args) => {
  const force = ["--force-script-chrootless", "--force-depends", `--root=${root}`, `--log=${join(folder, "log")}`];
  return run("dpkg", [...force, ...args], { stdio: ["ignore", "pipe", "pipe"] });
};
const installed = (path) => join(root, path);
const unit = () => readFileSync(installed("usr/lib/systemd/system/portcullis.service"), "utf8");

describe("the package", { skip: process.getuid() !== 0 && "installing needs root" }, () => {
  test("installs what its page lists, and makes its user", () => {
    dpkg("--install", deb);
    const files = run("dpkg-deb", ["--contents", deb]);
    for (const path of [
      "usr/bin/portcullis",
      "usr/lib/systemd/system/portcullis.service",
      "usr/share/man/man1/portcullis.1.gz",
      "usr/share/man/man1/portcullis-selftest.1.gz",
      "usr/share/bash-completion/completions/portcullis",
      "usr/share/zsh/vendor-completions/_portcullis",
      "usr/share/fish/vendor_completions.d/portcullis.fish",
      "usr/share/doc/portcullis/examples/gateway.toml",
      "usr/share/doc/portcullis/sbom.cdx.json",
      "usr/share/doc/portcullis/copyright",
      "etc/portcullis",
    ]) {
      assert.ok(existsSync(installed(path)), path);
      assert.ok(files.includes(path), path);
    }
    assert.match(readFileSync(installed("etc/passwd"), "utf8"), /^portcullis:/m);
    assert.match(run("zcat", [installed("usr/share/man/man1/portcullis-check.1.gz")]), /check/);
    run("bash", ["-n", installed("usr/share/bash-completion/completions/portcullis")]);
    assert.match(run(installed("usr/bin/portcullis"), ["--version"]), /^portcullis \d/);
    assert.ok(!files.includes(top.slice(1)), "no path of the machine that built it");
  });

  test("has a program without debug lines, and the lines in a package of their own", () => {
    const sections = (file) => run("readelf", ["--sections", "--wide", file]);
    const program = installed("usr/bin/portcullis");
    assert.doesNotMatch(sections(program), /\.debug_(info|line)|\.symtab/);
    assert.match(sections(program), /\.gnu_debuglink/);
    assert.ok(statSync(program).size < statSync(binary()).size / 2);
    run("dpkg-deb", ["--extract", symbols, join(folder, "symbols")]);
    const id = run("readelf", ["--notes", program]).match(/Build ID: (\w{2})(\w+)/);
    const file = join(folder, "symbols/usr/lib/debug/.build-id", id[1], `${id[2]}.debug`);
    assert.match(sections(file), /\.debug_line/);
  });

  test("has a unit that systemd accepts and finds well hardened", () => {
    const verified = spawnSync("systemd-analyze", ["verify", "--man=no", `--root=${root}`, "portcullis.service"], { encoding: "utf8" });
    const said = (verified.stdout + verified.stderr).split("\n").filter((line) => line.includes("portcullis.service"));
    assert.deepEqual(said.filter((line) => !/network-online|multi-user|sysinit|shutdown|kill/.test(line)), []);
    const security = run("systemd-analyze", ["security", "--offline=true", "--no-pager", installed("usr/lib/systemd/system/portcullis.service")]);
    const exposure = Number(security.match(/Overall exposure level for portcullis\.service: ([\d.]+)/)[1]);
    assert.ok(exposure < 2.5, `exposure ${exposure}`);
    for (const line of ["User=portcullis", "NoNewPrivileges=yes", "ProtectSystem=strict", "LimitCORE=0", "EnvironmentFile=-/etc/portcullis/environment"]) {
      assert.ok(unit().includes(`\n${line}\n`), line);
    }
    assert.ok(!unit().includes("LoadCredential=") && !unit().includes("/usr/local"));
  });

  test("starts as its user, from the file and the variables it is told of, and stops", { timeout: 240_000 }, async () => {
    const example = readFileSync(installed("usr/share/doc/portcullis/examples/gateway.toml"), "utf8");
    const file = installed("etc/portcullis/gateway.toml");
    writeFileSync(file, example.replace(/^listen = .*/m, 'listen = "127.0.0.1:0"\nadmin = "127.0.0.1:0"'));
    const [, command] = unit().match(/^ExecStart=(.*)$/m);
    const [program, ...args] = command.split(" ").map((word) => (word.startsWith("/") ? installed(word.slice(1)) : word));
    const [, uid, gid] = readFileSync(installed("etc/passwd"), "utf8").match(/^portcullis:[^:]*:(\d+):(\d+):/m);
    const env = { NEXTAUTH_SECRET: "only-for-this-test-0123456789abcdef", PORTIVE_API_KEY: "PRTV_onlyForTest_0123456789abcdef" };
    const gateway = spawn(program, args, { uid: Number(uid), gid: Number(gid), env, cwd: "/" });
    let said = "";
    gateway.stderr.on("data", (data) => (said += data));
    const ended = new Promise((resolve) => gateway.on("exit", (code) => resolve(code)));
    try {
      const address = (message) => said.match(new RegExp(`"message":"${message}","address":"([^"]+)"`))?.[1];
      for (let tries = 0; !address("admin listening") && tries < 1_200; tries += 1) await sleep(50);
      assert.ok(address("admin listening"), said);
      const [status, body] = await new Promise((resolve, reject) => {
        get(`http://${address("admin listening")}/healthz`, (answer) => {
          answer.setEncoding("utf8").on("data", (text) => resolve([answer.statusCode, text]));
        }).on("error", reject);
      });
      assert.deepEqual([status, body], [200, "alive\n"]);
    } finally {
      gateway.kill("SIGTERM");
    }
    assert.equal(await ended, 0);
  });

  test("leaves the settings when it is removed", () => {
    dpkg("--remove", "portcullis");
    assert.ok(!existsSync(installed("usr/bin/portcullis")));
    assert.ok(existsSync(installed("etc/portcullis/gateway.toml")));
  });
});

test("two builds are the same to the byte", { timeout: SLOW }, () => {
  const again = run(join(top, "deploy/package/build"), ["--binary", binary(), join(folder, "again")]).trim().split("\n");
  for (const [one, other] of [[deb, again[0]], [sbom, again[2]]]) {
    assert.ok(readFileSync(one).equals(readFileSync(other)), one);
  }
});

test("checkers of other programs' files find nothing", { timeout: SLOW }, () => {
  const python = join(top, "tests/interop/package/.venv/bin/python");
  assert.equal(run(python, [join(top, "tests/interop/package/check.py"), sbom]).trim().split("\n").at(-1), "ok");
});

test("every command of the pages about running it is one of these, and they name files that are there", () => {
  // Each was run above or in tests/build, or is the first line of the file it uses.
  const known = [
    /^deploy\/package\/build$/,
    /^sudo apt install \.\/target\/package\/portcullis_[\d.]+_amd64\.deb$/,
    /^sudo cp \/usr\/share\/doc\/portcullis\/examples\/gateway\.toml \/etc\/portcullis\/$/,
    /^sudo install -m 0600 \/dev\/null \/etc\/portcullis\/environment$/,
    /^sudo systemctl enable --now portcullis$/,
    /^deploy\/build\/profile-guided$/,
    /^deploy\/package\/build --binary target\/profile-guided\/portcullis$/,
    /^docker build -f deploy\/Dockerfile -t portcullis \.$/,
    /^docker run --rm -p 8080:8080 -v "\$PWD\/gateway\.toml:\/etc\/portcullis\/gateway\.toml:ro" -e NEXTAUTH_SECRET -e PORTIVE_API_KEY portcullis$/,
    /^docker compose -f deploy\/compose\.yaml up$/,
  ];
  const version = readFileSync(join(top, "Cargo.toml"), "utf8").match(/^version = "(.*)"/m)[1];
  let seen = 0;
  for (const name of ["systemd", "docker", "fly"]) {
    const page = readFileSync(join(top, `deploy/guides/howto/${name}.md`), "utf8");
    for (const [, block] of page.matchAll(/```sh\n([^]*?)```/g)) {
      for (const line of block.trim().split("\n")) {
        assert.ok(known.some((one) => one.test(line)), `${name}: ${line}`);
        assert.ok(!line.includes(".deb") || line.includes(`_${version}_`), line);
        seen += 1;
      }
    }
  }
  assert.equal(seen, known.length);
});
