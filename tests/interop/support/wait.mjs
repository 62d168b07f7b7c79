// Waiting on a machine that may be busy.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

/** Longer than anything here takes; a test that waits this long has failed. */
const PATIENCE = 60_000;

/** Waits until `done` holds. */
export async function eventually(what, done) {
  for (const end = Date.now() + PATIENCE; !await done(); await sleep(50)) {
    assert.ok(Date.now() < end, `waited in vain: ${what}`);
  }
}
