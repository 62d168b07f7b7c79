// What the tests of protocols share: a gateway in front of an app, a certificate, programs run to their end.

import { execFile, execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Gateway } from "../harness.mjs";
import { API_KEY } from "./portive.mjs";
import { NEXTAUTH_SECRET } from "./session.mjs";

/** Where the gateway answers with tokens itself. */
export const TOKEN = "/api/get-auth-token";

/** A gateway in front of `app`; more lines for its tables, and more tables. */
export function gatewayFor(app, { server = "", upstream = "", tables = "" } = {}) {
  const settings = `threads = 2
${server}

[upstream]
servers = ["${app}"]
${upstream}

[session]
kind = "next-auth"
secret = "env:NEXTAUTH_SECRET"

[identity]
headers = { "X-Auth-User" = "{session.user_id}" }

[token.portive]
path = "${TOKEN}"
preset = "portive"
key = "env:PORTIVE_API_KEY"
ttl = "1m"
limit = "1000000/minute"

[[route]]
path = "/private/**"
session = "required"

${tables}`;
  return Gateway.start(settings, { NEXTAUTH_SECRET, PORTIVE_API_KEY: API_KEY });
}

/** An HTTP/1.1 app on a free port. */
export async function listening(answer) {
  const server = createServer({ keepAliveTimeout: 600_000 }, answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  server.url = `http://127.0.0.1:${server.address().port}`;
  return server;
}

/** A certificate for `localhost` that is its own authority, and what `[server]` says to use it. */
export class Certificate {
  #folder = mkdtempSync(join(tmpdir(), "portcullis-tls-"));

  constructor() {
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    const files = ["-keyout", join(this.#folder, "key.pem"), "-out", this.file];
    execFileSync("openssl", ["req", "-x509", "-days", "2", ...curve, ...names, ...files], { stdio: "ignore" });
  }

  get file() {
    return join(this.#folder, "cert.pem");
  }

  get settings() {
    return `tls = [{ cert = "${this.file}", key = "${join(this.#folder, "key.pem")}" }]`;
  }

  remove() {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The address of a gateway that speaks TLS, by the name its certificate is for. */
export function secured({ url }) {
  return url.replace("http://127.0.0.1", "https://localhost");
}

const execute = promisify(execFile);

/** What `program` prints, both streams; it must end well, and some time. */
export async function printed(program, ...args) {
  const limits = { timeout: 240_000, maxBuffer: 64 << 20 };
  const { stdout, stderr } = await execute(program, args, limits);
  return { stdout, stderr };
}
