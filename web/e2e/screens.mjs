// Takes pictures of every page and state, in both themes, on a wall, on a desk and in a hand, for people to look at.
//
//     BASE_URL=http://127.0.0.1:4173 SCREENSHOTS=/tmp/shots node e2e/screens.mjs [name...]

import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openBrowser } from "./browser.mjs";

const BASE_URL = process.env.BASE_URL ?? "http://127.0.0.1:4173";
const OUT = process.env.SCREENSHOTS ?? join(tmpdir(), "reelmesh-screens");
const only = process.argv.slice(2);
mkdirSync(OUT, { recursive: true });
const files = mkdtempSync(join(tmpdir(), "reelmesh-screens-"));

const browser = await openBrowser();
const firstOf = async (status) => {
  const answer = await fetch(`${BASE_URL}/api/v1/videos?status=${status}&limit=1`);
  return (await answer.json()).items?.[0]?.id;
};
const failed = async (retryable) => {
  const answer = await fetch(`${BASE_URL}/api/v1/videos?status=failed`);
  return (await answer.json()).items?.find((video) => video.error.retryable === retryable)?.id;
};
const [ready, rendering, probing] = await Promise.all(["ready", "rendering", "probing"].map(firstOf));
const [broken, retryable] = await Promise.all([failed(false), failed(true)]);

const pages = [
  ["library", "/"],
  ["library-search", "/?q=day&sort=filename"],
  ["library-list", "/?view=list"],
  ["library-selection", "/", (page) => page.getByRole("checkbox").nth(1).check({ force: true })],
  ["library-palette", "/", (page) => page.keyboard.press("Control+k")],
  ["library-nothing", "/?q=zzzz"],
  ["video", `/videos/${ready}`, playSome],
  ["video-keys", `/videos/${ready}`, (page) => page.keyboard.press("?")],
  ["video-quality", `/videos/${ready}`, openQuality],
  ["video-marks", `/videos/${ready}`, markSome],
  ["video-rendering", `/videos/${rendering}`],
  ["video-probing", `/videos/${probing}`],
  ["video-failed", `/videos/${broken}`],
  ["video-retry", `/videos/${retryable}`],
  ["video-missing", "/videos/00000000-0000-7000-8000-000000000000"],
  ["upload", "/upload"],
  ["upload-busy", "/upload", uploadSome],
  ["upload-unfinished", "/upload", leaveUnfinished],
  ["jobs", "/jobs"],
  ["nodes", "/nodes"],
  ["not-found", "/nowhere"],
];

const sizes = [
  ["wall", { width: 3840, height: 2160 }, false],
  ["desktop", { width: 1280, height: 800 }, false],
  ["mobile", { width: 360, height: 780 }, true],
];
const themes = ["dark", "light"];

for (const [size, viewport, mobile, colorScheme] of themes.flatMap((theme) =>
  sizes.map((each) => [...each, theme]),
)) {
  const context = await browser.newContext({
    viewport,
    colorScheme,
    hasTouch: mobile,
    isMobile: mobile,
    deviceScaleFactor: mobile ? 2 : 1,
  });
  for (const [name, path, prepare] of pages) {
    if (only.length > 0 && !only.includes(name)) continue;
    const page = await context.newPage();
    page.on("pageerror", (error) => console.log(`${name} ${size}: ${error.message}`));
    page.on(
      "console",
      (message) => message.type() === "error" && console.log(`${name} ${size}: ${message.text()}`),
    );
    await page.goto(BASE_URL + path);
    await page.waitForTimeout(1200);
    await prepare?.(page);
    await page.waitForTimeout(500);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    if (wide) console.log(`${name} ${size}: wider than the window`);
    await page.screenshot({ path: join(OUT, `${name}-${size}-${colorScheme}.png`) });
    page.once("dialog", (dialog) => void dialog.accept());
    await page.close();
  }
  await context.close();
}
await browser.close();
rmSync(files, { recursive: true });

async function playSome(page) {
  await page.keyboard.press("Space");
  await page.waitForTimeout(2500);
  await page.keyboard.press("Space");
  const seek = await page.getByRole("slider", { name: "Position" }).boundingBox();
  if (seek) await page.mouse.move(seek.x + seek.width * 0.6, seek.y + seek.height / 2);
}

async function markSome(page) {
  for (const key of ["Home", "i", "Shift+ArrowRight", "o", "Enter"]) await page.keyboard.press(key);
}

async function openQuality(page) {
  await page.getByRole("button", { name: /^Quality/ }).click();
}

async function uploadSome(page) {
  await page.setInputFiles("[data-testid=file-picker]", [
    emptyFile("Dailies day 5 – harbour.mp4", 1),
    emptyFile("notes.txt", 1),
    emptyFile("SC014_TK06_LEDwall.mov", 400),
    emptyFile("interview_ruth_cam-a_long_name_that_does_not_fit_on_a_telephone.mxf", 900),
    emptyFile("drone-pass-04.mp4", 300),
  ]);
  await page.waitForTimeout(2500);
  await page.getByRole("button", { name: "Pause drone" }).click();
}

async function leaveUnfinished(page) {
  await page.setInputFiles("[data-testid=file-picker]", emptyFile("Trailer_v08.mov", 900));
  await page.waitForTimeout(9000);
  page.once("dialog", (dialog) => void dialog.accept());
  await page.reload();
  await page.waitForTimeout(1200);
}

/** A file of that many megabytes that takes no room. */
function emptyFile(name, megabytes) {
  const path = join(files, name);
  writeFileSync(path, "");
  truncateSync(path, megabytes * 1_000_000);
  return path;
}
