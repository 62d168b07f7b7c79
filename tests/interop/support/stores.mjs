// Redis and PostgreSQL for an app under test: real servers of its own, with nothing kept when they end.

import { execFileSync } from "node:child_process";
import { chownSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { createClient } from "redis";
import { Child } from "./child.mjs";
import { freePort } from "./ports.mjs";

const STARTED = 60_000;

class Store {
  #child;
  #folder = mkdtempSync(join(tmpdir(), "portcullis-store-"));

  /** Runs `command`, a function of a free port and a folder, until it says that it is ready. */
  async run(command) {
    const port = await freePort();
    const [program, ...args] = command(port, this.#folder);
    this.#child = new Child(program, args, { cwd: this.#folder, env: { LC_ALL: "C.UTF-8" } });
    try {
      const ready = (line) => line.match(/ready to accept connections/i);
      await this.#child.heard("that it is ready", ready, STARTED);
      return port;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close() {
    await this.#child?.stop(STARTED, "SIGINT");
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export class Redis extends Store {
  static async open() {
    const redis = new Redis();
    const options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    const port = await redis.run((port, folder) => ["redis-server", "--port", port, "--dir", folder, ...options]);
    redis.env = { REDIS_URL: `redis://127.0.0.1:${port}` };
    return redis;
  }

  /** Lets the time of every key run out. */
  async expire() {
    const client = createClient({ url: this.env.REDIS_URL });
    await client.connect();
    for (const key of await client.keys("*")) await client.pExpire(key, 1);
    client.destroy();
  }
}

const PASSWORD = "interop-database-password";

export class Postgres extends Store {
  static async open() {
    const postgres = new Postgres();
    const port = await postgres.run((port, folder) => {
      const [data, word] = ["data", "word"].map((name) => join(folder, name));
      writeFileSync(word, PASSWORD);
      const as = unprivileged(folder, word);
      const [program, ...args] = [...as, join(programs(), "initdb"), "--pgdata", data, "--username=app"];
      const habits = [`--pwfile=${word}`, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"];
      execFileSync(program, [...args, ...habits], { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
      const listen = ["-D", data, "-p", port, "-k", folder, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"];
      return [...as, join(programs(), "postgres"), ...listen];
    });
    postgres.env = { DATABASE_URL: `postgres://app:${PASSWORD}@127.0.0.1:${port}/postgres` };
    return postgres;
  }

  async query(statement) {
    const client = new pg.Client({ connectionString: this.env.DATABASE_URL });
    await client.connect();
    await client.query(statement);
    await client.end();
  }
}

/** As `Postgres`, with a database whose time zone is another than UTC. */
export function PostgresIn(zone) {
  return {
    async open() {
      const postgres = await Postgres.open();
      await postgres.query(`ALTER DATABASE postgres SET timezone = '${zone}'`);
      return postgres;
    },
  };
}

/** PostgreSQL refuses to run as root: then as its own user, who owns the folder. */
function unprivileged(...paths) {
  if (process.getuid() !== 0) return [];
  const id = (flag) => Number(execFileSync("id", [flag, "postgres"]));
  const [uid, gid] = [id("-u"), id("-g")];
  paths.forEach((path) => chownSync(path, uid, gid));
  return ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"];
}

function programs() {
  const folder = "/usr/lib/postgresql";
  const newest = readdirSync(folder).map(Number).sort((a, b) => a - b).at(-1);
  return join(folder, String(newest), "bin");
}
