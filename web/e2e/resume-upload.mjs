// A person closes the tab in the middle of an upload, comes back, and goes on from where it stopped.
//
//     BASE_URL=http://127.0.0.1:8080 FILE=reel.mp4 [SCREENSHOTS=folder] node e2e/resume-upload.mjs
//
// The line is made so slow that the upload takes about ten seconds; FILE should have a few megabytes.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { openBrowser } from "./browser.mjs";

const BASE_URL = (process.argv[2] ?? process.env.BASE_URL ?? "http://127.0.0.1:8080").replace(/\/$/, "");
const FILE = process.argv[3] ?? process.env.FILE;
const SCREENSHOTS = process.env.SCREENSHOTS;

if (!FILE || !existsSync(FILE)) {
  console.error("usage: resume-upload.mjs BASE_URL FILE; FILE must exist");
  process.exit(2);
}
const size = statSync(FILE).size;

const browser = await openBrowser();
const page = await (
  await browser.newContext({ viewport: { width: 1200, height: 800 }, colorScheme: "dark" })
).newPage();
const complaints = [];
const offsets = [];
page.on("pageerror", (error) => complaints.push(`page: ${error.message}`));
page.on("request", (request) => {
  if (request.method() === "PATCH") offsets.push(Number(request.headers()["upload-offset"]));
});
const line = await page.context().newCDPSession(page);
const throttle = (uploadThroughput) =>
  line.send("Network.emulateNetworkConditions", {
    offline: false,
    latency: 0,
    downloadThroughput: -1,
    uploadThroughput,
  });

let failed = 0;
try {
  await closeAndComeBack();
} catch (error) {
  failed += 1;
  console.error(error);
  await shot("resume-failure");
}
await browser.close();
console.log(`e2e: ${1 - failed} passed, ${failed} failed`);
process.exit(failed);

async function closeAndComeBack() {
  await page.goto(`${BASE_URL}/upload`);
  await page.getByTestId("file-picker").waitFor({ state: "attached" });
  await line.send("Network.enable");
  await throttle(Math.ceil(size / 10));
  await page.getByTestId("file-picker").setInputFiles(resolve(FILE));
  const bar = page.locator(".upload-row [role=progressbar]").first();
  await until("a third is sent", async () => Number(await bar.getAttribute("aria-valuenow")) >= 33);

  // The page asks before it is left with an upload under way.
  let asked = false;
  page.once("dialog", (dialog) => {
    asked = dialog.type() === "beforeunload";
    void dialog.accept();
  });
  await page.mouse.click(600, 40);
  await page.reload();
  assert.ok(asked, "leaving the page is asked about");

  await page.getByRole("heading", { name: "Left unfinished" }).waitFor();
  await page.getByText("is safe on the node").waitFor();
  await shot("resume-unfinished");
  const again = page
    .locator(".upload-row", { hasText: basename(FILE) })
    .first()
    .locator("input[type=file]");
  await again.setInputFiles(fileURLToPath(import.meta.url));
  await page.getByText("That is another file").waitFor();

  await throttle(-1);
  offsets.length = 0;
  await again.setInputFiles(resolve(FILE));
  await page.locator(".upload-row[data-phase=done]").first().waitFor({ timeout: 60_000 });
  assert.ok(offsets.length > 0 && offsets[0] > 0, `it goes on from the node's offset: ${offsets.join()}`);
  console.log(`e2e: went on at ${offsets[0]} of ${size} bytes`);
  assert.equal(await page.getByRole("heading", { name: "Left unfinished" }).count(), 0);
  const id = await page.locator(".upload-row[data-phase=done]").first().getAttribute("data-video");
  assert.ok(id, "the answer that completes the upload names the video");
  const video = await (await fetch(`${BASE_URL}/api/v1/videos/${id}`)).json();
  assert.equal(video.size_bytes, size);
  await shot("resume-done");
  assert.deepEqual(complaints, []);
}

async function until(what, holds, timeoutMs = 30_000) {
  const end = Date.now() + timeoutMs;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `not within ${timeoutMs / 1000} s: ${what}`);
    await new Promise((wake) => setTimeout(wake, 100));
  }
}

async function shot(name) {
  if (!SCREENSHOTS) return;
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) }).catch(() => undefined);
}
