// Headless Chromium, the one Debian packages.

import { chromium } from "playwright-core";

// It runs as root in containers, and must not call home: the machine may have no network.
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A browser with one page, whose steps fail after a minute. */
export async function openBrowser(options) {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  const browser = await chromium.launch({ executablePath, args: FLAGS, timeout: 120_000 });
  const context = await browser.newContext(options);
  context.setDefaultTimeout(60_000);
  const page = await context.newPage();
  return { browser, context, page };
}
