// One app of `apps/table.mjs` behind a gateway with the app's own gateway.toml.
//
// They are told the same secrets. The gateway's key is never the app's to know.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binary, Gateway } from "../harness.mjs";
import { Child } from "./child.mjs";
import { API_KEY } from "./portive.mjs";
import { Relay } from "./relay.mjs";

export class FrameworkApp {
  #row;
  #store;
  #relay;
  #child;
  #folder = mkdtempSync(join(tmpdir(), "portcullis-app-"));
  #config = join(this.#folder, "gateway.toml");

  static async start(row) {
    const app = new FrameworkApp();
    app.#row = row;
    app.people = row.people.map((person) => ({ ...person }));
    try {
      await app.#start();
      return app;
    } catch (error) {
      await app.close();
      throw error;
    }
  }

  get url() {
    return this.gateway.url;
  }

  /** Every byte of the requests that reached the app. */
  get asked() {
    return this.#relay.asked;
  }

  /** What `portcullis session` says about a `Cookie` header: its exit code and its JSON. */
  async explain(cookie, { secrets = this.#secrets, now = unixTime() } = {}) {
    const args = ["session", "--config", this.#config, "--cookie", cookie, "--now", String(now), "--json"];
    const env = { PATH: process.env.PATH, ...secrets, PORTIVE_API_KEY: API_KEY };
    return new Promise((resolve, reject) => {
      execFile(binary(), args, { env, timeout: 60_000 }, (error, stdout, stderr) => {
        if (error && typeof error.code !== "number") return reject(error);
        assert.notEqual(stdout, "", stderr);
        resolve({ code: error?.code ?? 0, ...JSON.parse(stdout) });
      });
    });
  }

  /** As `explain`, for an operator who gave the gateway another team's secrets. */
  explainWithForeignSecrets(cookie) {
    return this.explain(cookie, { secrets: { ...this.#secrets, ...this.#row.foreign } });
  }

  /** As `explain`, but `seconds` from now. */
  explainLater(cookie, seconds) {
    return this.explain(cookie, { now: unixTime() + seconds });
  }

  /** Makes every session in the store as old as if it had rested for longer than the app allows. */
  async restTooLong() {
    await this.#row.rest(this.#store);
  }

  async close() {
    this.#child?.kill();
    this.gateway?.kill();
    this.#relay?.close();
    await this.#store?.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Ids that the app has chosen, printed as `NAME: ID`. */
  #learnIds(output) {
    for (const person of this.people.filter(({ id }) => !id)) {
      person.id = output.match(new RegExp(`^${person.username}: (\\S+)$`, "m"))?.[1];
    }
  }

  get #secrets() {
    return { ...this.#store?.env, ...this.#row.secrets };
  }

  // The gateway comes first: some apps must be told the address people open.
  async #start() {
    const { store, folder, config, prepare, command, listening } = this.#row;
    this.#store = await store?.open();
    this.#relay = await Relay.open();
    const places = { "http://127.0.0.1:3000": this.#relay.url, ...this.#store?.places };
    const settings = addressed(readFileSync(join(folder, config), "utf8"), places);
    writeFileSync(this.#config, settings);
    this.gateway = await Gateway.start(settings, { ...this.#secrets, PORTIVE_API_KEY: API_KEY });
    const env = { HOME: this.#folder, TMPDIR: this.#folder, WORK: this.#folder, PORT: "0", PYTHONDONTWRITEBYTECODE: "1" };
    const urls = { PUBLIC_URL: this.gateway.url, ADMIN_URL: this.gateway.admin };
    const options = { cwd: folder, env: { ...env, ...urls, ...this.#row.env, ...this.#secrets } };
    for (const [program, ...args] of prepare) {
      const step = new Child(program, args, options);
      assert.deepEqual(await step.ended(120_000), { code: 0, signal: null }, `${step.name}\n${step.output}`);
      this.#learnIds(step.output);
    }
    const [program, ...args] = command;
    this.#child = new Child(program, args, options);
    const address = (line) => line.match(listening)?.[1];
    this.#relay.leadTo(await this.#child.heard("where it listens", address, 120_000));
    await this.gateway.ready();
  }
}

/**
 * A user's gateway.toml with this test's places instead of the usual ones; the harness adds its `[server]`. Stores may
 * take their time: the machine that runs the tests may be busy.
 */
function addressed(text, places) {
  const replaced = (text, from, to) => {
    assert.ok(text.includes(from), `gateway.toml has ${from}`);
    return text.replaceAll(from, to);
  };
  const unserved = replaced(text, `[server]\nlisten = "127.0.0.1:8080"\n`, "");
  const patient = unserved.replace("[session.store]\n", `[session.store]\ntimeout = "10s"\n`);
  return Object.entries(places).reduce((text, [from, to]) => replaced(text, from, to), patient);
}

function unixTime() {
  return Math.floor(Date.now() / 1000);
}
