// Stores that are no servers: an SQLite database and a folder of files, gone when they are closed.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

class LocalStore {
  folder = mkdtempSync(join(tmpdir(), "portcullis-store-"));

  async close() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export class Sqlite extends LocalStore {
  static async open() {
    const sqlite = new Sqlite();
    sqlite.env = { DATABASE_URL: `sqlite://${join(sqlite.folder, "app.db")}` };
    return sqlite;
  }

  // Node.js has a client of its own only since version 22.
  async query(statement) {
    const program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()";
    execFileSync("python3", ["-c", program, join(this.folder, "app.db"), statement], { timeout: 60_000 });
  }
}

/** Where PHP keeps its sessions; gateway.toml names the folder that Debian has for them. */
export class SessionFiles extends LocalStore {
  static async open() {
    const files = new SessionFiles();
    files.env = { SESSION_FOLDER: files.folder };
    files.places = { "/var/lib/php/sessions": files.folder };
    return files;
  }

  /** Every file as if it had rested for so long. */
  async age(seconds) {
    for (const name of readdirSync(this.folder)) {
      const path = join(this.folder, name);
      const { atimeMs, mtimeMs } = statSync(path);
      utimesSync(path, atimeMs / 1000 - seconds, mtimeMs / 1000 - seconds);
    }
  }
}
