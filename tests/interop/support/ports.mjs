// Ports for servers that cannot pick one themselves, and one where nobody listens.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Refuses every connection: nothing listens on a port this low, and the system gives it to nobody. */
export const CLOSED = "127.0.0.1:1";

/** Names of the ports that test files have taken, each with the process it is for. */
const TAKEN = join(tmpdir(), `portcullis-ports-${process.getuid()}`);
const LOWEST = 12_000;
const own = new Set();

process.on("exit", () => own.forEach((port) => rmSync(join(TAKEN, port), { force: true })));

/** A port that is this process's own until it ends: others take theirs from here too, and the system none that are so low. */
export async function freePort() {
  const highest = lowestOfTheSystem() - 1;
  mkdirSync(TAKEN, { recursive: true });
  for (;;) {
    const port = String(LOWEST + Math.floor(Math.random() * (highest - LOWEST)));
    if (!take(port)) continue;
    own.add(port);
    if (await isFree(port)) return port;
  }
}

/** The system gives ports from here on to whoever asks for any. */
function lowestOfTheSystem() {
  const [lowest] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").split("\t").map(Number);
  return lowest > LOWEST + 1_000 ? lowest : 32_768;
}

function take(port) {
  const path = join(TAKEN, port);
  try {
    writeFileSync(path, String(process.pid), { flag: "wx" });
    return true;
  } catch {
    if (!runs(path)) rmSync(path, { force: true });
    return false;
  }
}

/** Whether the process that has taken it is there, or is only about to write its id. */
function runs(path) {
  try {
    const pid = Number(readFileSync(path, "utf8"));
    return pid === 0 || process.kill(pid, 0);
  } catch (error) {
    return error.code === "EPERM";
  }
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(Number(port), "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
