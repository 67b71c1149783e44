// The Chromium that is installed, quiet and without a network life of its own.

import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const PLACES = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];

export function openBrowser() {
  const executablePath = PLACES.find((path) => path && existsSync(path));
  if (!executablePath) {
    console.error(
      "e2e: no Chromium found; install it (Debian: apt-get install chromium) or name it in CHROMIUM",
    );
    process.exit(2);
  }
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-dev-shm-usage",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
      "--autoplay-policy=no-user-gesture-required",
      "--mute-audio",
    ],
  });
}
