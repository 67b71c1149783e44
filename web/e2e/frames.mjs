// The number painted into a picture is the number that the page shows: step by step, forwards and backwards, and after
// jumps, at several frame rates, against the real program.
//
//     BASE_URL=http://127.0.0.1:8080 node e2e/frames.mjs [RATE...]

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openBrowser } from "./browser.mjs";
import { makeNumbered, paintedNumber, SHAPE } from "./numbered.mjs";

const BASE_URL = (process.env.BASE_URL ?? "http://127.0.0.1:8080").replace(/\/$/, "");
const RATES = process.argv.length > 2 ? process.argv.slice(2) : ["24000/1001", "25/1", "60000/1001"];
const FRAMES = 200;
const folder = mkdtempSync(join(tmpdir(), "reelmesh-frames-"));
const browser = await openBrowser();
let failed = 0;
let pictures = 0;
try {
  const uploads = [];
  for (const rate of RATES) {
    const file = join(folder, `numbered-${rate.replace("/", "-")}.mp4`);
    await makeNumbered(file, rate, FRAMES);
    uploads.push([rate, await upload(file)]);
  }
  for (const [rate, id] of uploads) {
    try {
      await until(`${rate} is ready`, async () => (await video(id)).status === "ready", 120_000);
      await walk(rate, id);
    } catch (error) {
      failed += 1;
      console.error(`e2e: frames at ${rate}:`, error);
    }
  }
} finally {
  await browser.close();
  rmSync(folder, { recursive: true });
}
console.log(
  `e2e: ${pictures} pictures at ${RATES.length} rates carry the number that is shown, ${failed} rates failed`,
);
process.exit(failed === 0 ? 0 : 1);

async function video(id) {
  const shown = await (await fetch(`${BASE_URL}/api/v1/videos/${id}`)).json();
  assert.notEqual(shown.status, "failed", JSON.stringify(shown.error));
  return shown;
}

/** One request of tus, with the whole file. */
async function upload(file) {
  const body = readFileSync(file);
  const answer = await fetch(`${BASE_URL}/api/v1/uploads`, {
    method: "POST",
    headers: {
      "tus-resumable": "1.0.0",
      "upload-length": String(body.length),
      "upload-metadata": `filename ${Buffer.from(file.split("/").pop()).toString("base64")}`,
      "content-type": "application/offset+octet-stream",
    },
    body,
  });
  const id = answer.headers.get("reelmesh-video-id");
  assert.ok(id, `the upload is complete: ${answer.status} ${await answer.text()}`);
  return id;
}

async function walk(rate, id) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await page.goto(`${BASE_URL}/videos/${id}`);
  await until("something to play", () =>
    page.evaluate(() => (document.querySelector("video")?.readyState ?? 0) >= 2),
  );
  const second = Math.round(Number(rate.split("/")[0]) / Number(rate.split("/")[1]));
  const shown = async () => {
    const text = await page.locator(".player-frames span").first().textContent();
    return Number(/frame ([\d,]+)/.exec(text ?? "")?.[1]?.replaceAll(",", "") ?? NaN);
  };
  /** Presses a key, and holds what is shown and what is painted against where it must be. */
  const expect = async (key, frame) => {
    await page.keyboard.press(key);
    let seen = [];
    await until(`frame ${frame} after ${key} at ${rate}, not ${seen}`, async () => {
      seen = [await shown(), await page.evaluate(paintedNumber, SHAPE)];
      return seen[0] === frame && seen[1] === frame;
    }).catch((error) => {
      throw new Error(`${error.message}; shown and painted: ${seen}`);
    });
    pictures += 1;
  };
  await expect("Home", 0);
  for (let frame = 1; frame <= 30; frame += 1) await expect("ArrowRight", frame);
  for (let frame = 29; frame >= 12; frame -= 1) await expect("ArrowLeft", frame);
  await expect("Shift+ArrowRight", 12 + second);
  await expect("Shift+ArrowLeft", 12);
  for (const tenth of [5, 9, 3]) await expect(String(tenth), (FRAMES * tenth) / 10);
  await expect("End", FRAMES - 1);
  for (let frame = FRAMES - 2; frame >= FRAMES - 12; frame -= 1) await expect(",", frame);
  // Where it was rendered in pieces and segments.
  await expect("Home", 0);
  await page.close();
}

/** Polls until it holds. */
async function until(what, holds, timeoutMs = 10_000) {
  const end = Date.now() + timeoutMs;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `not within ${timeoutMs / 1000} s: ${what}`);
    await new Promise((wake) => setTimeout(wake, 15));
  }
}
