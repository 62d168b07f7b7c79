// A page as people see it: wide and at 400 px, in light and dark, without motion.
//
// SCREENSHOTS=DIR keeps pictures.

import assert from "node:assert/strict";
import { join } from "node:path";

export const WIDE = [["light", 1280, "light"], ["dark", 1280, "dark"]];
export const NARROW = [["narrow", 400, "light"], ["narrow-dark", 400, "dark"]];

/** Does `work` in each look, and asserts that nothing hangs over and nothing moves. */
export async function inLooks(page, looks, picture, work = async () => {}) {
  for (const [name, width, colorScheme] of looks) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const isDark = await page.evaluate(() => matchMedia("(prefers-color-scheme: dark)").matches);
    assert.equal(isDark, colorScheme === "dark");
    await settled(page, name);
    await work(name);
    await settled(page, name);
    const folder = process.env.SCREENSHOTS;
    if (folder) await page.screenshot({ path: join(folder, `${picture}-${name}.png`), fullPage: true });
  }
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.emulateMedia({ colorScheme: null, reducedMotion: null });
}

async function settled(page, name) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(over <= 0, `${name}: ${over} px too wide`);
  const moving = await page.evaluate(() => document.getAnimations()
    .filter((it) => it.playState === "running" && it.effect.getComputedTiming().duration > 0)
    .map((it) => `${it.animationName ?? it.transitionProperty} of ${it.effect.target.outerHTML.slice(0, 80)}`));
  assert.deepEqual(moving, [], `${name}: something moves`);
}

/** Brings an element into view with the keyboard alone: by Tab if it is in a region of its own. */
export async function reach(page, locator) {
  await locator.waitFor();
  const isInRegion = await locator.evaluate((it) => Boolean(it.closest("[tabindex='0'], a, button, input")));
  await press(page, "Control+Home");
  for (const end = Date.now() + 30_000; Date.now() < end;) {
    const reached = await locator.evaluate((it, isInRegion) => {
      const { top, bottom } = it.getBoundingClientRect();
      const isSeen = bottom > 0 && top < window.innerHeight;
      return isSeen && (!isInRegion || document.activeElement.contains(it) && document.activeElement !== document.body);
    }, isInRegion);
    if (reached) return;
    const isAtEnd = await page.evaluate(() => scrollY + innerHeight >= document.documentElement.scrollHeight - 1);
    // A region that has the focus scrolls first, so the way to the top may take several presses.
    await press(page, isInRegion ? "Tab" : isAtEnd ? "Control+Home" : "PageDown");
  }
  assert.fail(`not reached by keyboard: ${await locator.evaluate((it) => it.outerHTML.slice(0, 120))}`);
}

/** Presses a key, and waits until the page has come to rest: it scrolls a moment later. */
async function press(page, key) {
  await page.keyboard.press(key);
  await page.evaluate(() => new Promise((done) => {
    let before = scrollY, calm = 0;
    const look = () => {
      calm = scrollY === before ? calm + 1 : 0;
      before = scrollY;
      if (calm < 3) requestAnimationFrame(look);
      else done();
    };
    requestAnimationFrame(look);
  }));
}
