// A person uploads a file through the page and watches it, in headless Chromium.
//
//     BASE_URL=http://127.0.0.1:8080 FILE=reel.mp4 [SCREENSHOTS=folder] [TIMEOUT_S=180] npm run e2e
//     npm run e2e -- BASE_URL FILE

import assert from "node:assert/strict";
import { existsSync, mkdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { openBrowser } from "./browser.mjs";

const BASE_URL = (process.argv[2] ?? process.env.BASE_URL ?? "http://127.0.0.1:8080").replace(/\/$/, "");
const FILE = process.argv[3] ?? process.env.FILE;
const SCREENSHOTS = process.env.SCREENSHOTS;
const TIMEOUT_MS = Number(process.env.TIMEOUT_S ?? 180) * 1000;

if (!FILE || !existsSync(FILE)) {
  console.error("usage: upload-and-play.mjs BASE_URL FILE; FILE must exist");
  process.exit(2);
}

const browser = await openBrowser();
const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: "dark" });
const page = await context.newPage();
const complaints = [];
page.on("pageerror", (error) => complaints.push(`page: ${error.message}`));
page.on("console", (message) => message.type() === "error" && complaints.push(`console: ${message.text()}`));

let passed = 0;
let failed = 0;
try {
  await uploadAndPlay();
  passed += 1;
} catch (error) {
  failed += 1;
  console.error(error);
  if (complaints.length > 0) console.error(complaints.join("\n"));
  console.error(await player().catch(() => "no player on the page"));
  await shot("failure");
}
await browser.close();
console.log(`e2e: ${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

async function uploadAndPlay() {
  await page.goto(`${BASE_URL}/`);
  await page.getByRole("heading", { name: "Library" }).waitFor({ timeout: 15_000 });
  await page.waitForTimeout(500);
  await shot("1-library");

  await page.getByRole("link", { name: "Upload" }).first().click();
  await page.getByTestId("file-picker").setInputFiles(resolve(FILE));
  const row = page.locator(".upload-row", { hasText: basename(FILE) }).first();
  await row.waitFor();
  await shot("2-upload");
  await page.locator(".upload-row[data-phase=done][data-video]").first().waitFor({ timeout: TIMEOUT_MS });
  const id = await page.locator(".upload-row[data-phase=done]").first().getAttribute("data-video");
  assert.ok(id, "the answer that completes the upload names the video");
  say(`uploaded as ${id}`);
  await shot("3-uploaded");

  await page.getByTestId("open-video").first().click();
  await page.waitForURL(`**/videos/${id}`);
  await page.getByRole("heading", { level: 1, name: basename(FILE) }).waitFor();
  await watchWhileItIsRendered(id);
  await ready(id);
  await page.locator(".player video").waitFor({ timeout: 30_000 });
  await page.getByText("Ready", { exact: true }).first().waitFor();
  say("ready");

  // It plays: the clock moves, there is a picture, and frames are decoded.
  await until("something to play", () => page.$eval("video", (video) => video.readyState >= 2));
  await page.getByRole("button", { name: "Play" }).first().click();
  await until("the picture moves", () =>
    page.$eval("video", (video) => video.currentTime > 0.4 && video.videoWidth > 0),
  );
  const early = await decoded();
  await until("more frames are decoded", async () => (await decoded()) > early);
  const shown = await page.getByTestId("timecode").textContent();
  assert.match(shown ?? "", /^\d\d:\d\d:\d\d[:;]\d\d\d?$/, "the source timecode stands below the picture");
  await shot("4-playing");

  await quality();

  // Stepping shows exactly the next frame.
  await page.evaluate(() => document.querySelector("video").pause());
  await until("it pauses", () => page.$eval("video", (video) => video.paused && !video.seeking));
  const before = await restingFrame();
  await page.keyboard.press("ArrowRight");
  await until("one frame on", async () => (await frameNumber()) === before + 1);
  await page.keyboard.press("ArrowLeft");
  await until("one frame back", async () => (await frameNumber()) === before);

  // It seeks near to its end by the time line and plays to its last moment.
  const duration = await page.$eval("video", (video) => video.duration);
  assert.ok(Number.isFinite(duration) && duration > 0, `the length is known: ${duration}`);
  const line = await page.getByRole("slider", { name: "Position" }).boundingBox();
  await page.mouse.click(line.x + line.width * Math.max(0.5, 1 - 2 / duration), line.y + line.height / 2);
  const target = Math.max(duration / 2, duration - 2);
  await until("it seeks", () =>
    page.$eval("video", (video, to) => !video.seeking && Math.abs(video.currentTime - to) < 1.5, target),
  );
  await page.evaluate(() => document.querySelector("video").play());
  await until(
    "it plays to its end",
    () => page.$eval("video", (video) => video.ended || video.duration - video.currentTime < 0.05),
    30_000,
  );
  const left = await page.$eval("video", (video) => video.duration - video.currentTime);
  assert.ok(left <= 0.5, `it ends ${left} s before its end`);
  const dropped = await page.$eval("video", (video) => video.getVideoPlaybackQuality().droppedVideoFrames);
  say(`played to its end; ${await decoded()} frames decoded, ${dropped} dropped`);
  await shot("5-ended");

  await page.getByRole("link", { name: "Library", exact: true }).click();
  await page.locator(`a.card[href="/videos/${id}"] img`).waitFor({ timeout: 10_000 });
  await until("its thumbnail is in the library", () =>
    page.$eval(`a.card[href="/videos/${id}"] img`, (image) => image.complete && image.naturalWidth > 0),
  );
  await shot("6-library");
  assert.deepEqual(complaints, [], "the console stays silent");
}

/** Plays what is there before all of it is, and goes on when it is complete. */
async function watchWhileItIsRendered(id) {
  let video;
  await until(
    "there is something to play",
    async () => {
      video = await (await fetch(`${BASE_URL}/api/v1/videos/${id}`)).json();
      assert.notEqual(video.status, "failed", video.error?.message);
      return video.hls_url !== null;
    },
    TIMEOUT_MS,
  );
  if (video.status === "ready") return say("ready before it could be watched");
  await page.locator(".player video").waitFor({ timeout: 30_000 });
  const read = () =>
    page.$eval("video", (video) => ({ at: video.currentTime, length: video.duration, on: video.readyState }));
  await until("the first piece can be played", async () => (await read()).on >= 2);
  const first = (await read()).length;
  await page.getByRole("button", { name: "Play" }).first().click();
  await until("it plays", async () => (await read()).at > 0.3);
  await shot("4-rendering");
  await ready(id);
  const whole = (video.duration_frames * video.frame_rate.den) / video.frame_rate.num;
  await until("the whole can be played", async () => Math.abs((await read()).length - whole) < 0.1, 30_000);
  const { at } = await read();
  await page.evaluate(() => document.querySelector("video").play());
  await until("it goes on", async () => (await read()).at !== at);
  say(`watched while it was rendered: ${first} s at first, ${whole} s in the end`);
  await page.evaluate(() => {
    const video = document.querySelector("video");
    video.pause();
    video.currentTime = 0;
  });
  await until("it is back at its start", async () => (await read()).at < 0.1);
}

/** Waits until the video is ready, and fails with its own words if it fails. */
async function ready(id) {
  await until(
    "the video is ready",
    async () => {
      const answer = await fetch(`${BASE_URL}/api/v1/videos/${id}`);
      const video = await answer.json();
      assert.notEqual(video.status, "failed", video.error?.message);
      return video.status === "ready";
    },
    TIMEOUT_MS,
  );
}

/** Chooses another rendition in the menu and sees it on screen. */
async function quality() {
  const active = () => page.locator(".player").getAttribute("data-quality");
  await until("a rendition is active", active);
  await page.getByRole("button", { name: /^Quality/ }).click();
  const names = (await page.getByRole("menuitemradio").allInnerTexts()).map(
    (text) => text.trim().split(/\s+/)[0],
  );
  await shot("4-quality");
  const rungs = names.filter((name) => name !== "Auto");
  if (rungs.length < 2) {
    await page.keyboard.press("Escape");
    say(`one rendition only (${rungs.join()}): nothing to switch to`);
    return;
  }
  const now = await active();
  const lines = () => page.$eval("video", (video) => video.videoHeight);
  const height = await lines();
  const other = rungs.findLast((name) => name !== now);
  await page.getByRole("menuitemradio", { name: other }).click();
  await page.evaluate(() => document.querySelector("video").play());
  await until(`${other} is on screen`, async () => (await active()) === other, 30_000);
  // What was decoded before stays on screen until the next key frame; a short video may end before that.
  await until("its picture has another size", async () => {
    await page.evaluate(() => document.querySelector("video").play());
    return (await lines()) !== height;
  });
  say(`quality ${now} -> ${other}, ${height} -> ${await lines()} lines`);
}

/** What the video element says of itself. */
function player() {
  return page.$eval("video", (video) => ({
    currentTime: video.currentTime,
    duration: video.duration,
    ended: video.ended,
    paused: video.paused,
    readyState: video.readyState,
    seeking: video.seeking,
    shown: document.querySelector(".player-frames")?.textContent,
    width: video.videoWidth,
  }));
}

function decoded() {
  return page.$eval("video", (video) => video.getVideoPlaybackQuality().totalVideoFrames);
}

async function frameNumber() {
  const text = await page.locator(".player-frames span").first().textContent();
  return Number(/frame ([\d,]+)/.exec(text ?? "")?.[1]?.replaceAll(",", "") ?? NaN);
}

/** The frame number once it stands still: after a pause the last pictures may still arrive. */
async function restingFrame() {
  let frame = NaN;
  let looks = 0;
  await until("the picture rests", async () => {
    const now = await frameNumber();
    looks = now === frame ? looks + 1 : 0;
    frame = now;
    return looks >= 8;
  });
  return frame;
}

/** Polls until it holds; a failed assertion inside ends the wait. */
async function until(what, holds, timeoutMs = 20_000) {
  const end = Date.now() + timeoutMs;
  for (;;) {
    if (await holds()) return;
    assert.ok(Date.now() < end, `not within ${timeoutMs / 1000} s: ${what}`);
    await new Promise((wake) => setTimeout(wake, 100));
  }
}

async function shot(name) {
  if (!SCREENSHOTS) return;
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) }).catch(() => undefined);
}

function say(text) {
  console.log(`e2e: ${text}`);
}
