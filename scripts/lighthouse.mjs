// Runs `lighthouse` several times on each address and prints medians: `node lighthouse.mjs RUNS URL...`.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [, , runs, ...urls] = process.argv;
const chromium = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
].find(existsSync);
const folder = mkdtempSync(join(tmpdir(), "reelmesh-lighthouse-"));
const median = (values) =>
  values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
const AUDITS = {
  "first paint ms": "first-contentful-paint",
  "largest paint ms": "largest-contentful-paint",
  "interactive ms": "interactive",
  "blocked ms": "total-blocking-time",
  "layout shift": "cumulative-layout-shift",
};

for (const url of urls) {
  const reports = [];
  for (let run = 0; run < Number(runs); run += 1) {
    const out = join(folder, "report.json");
    const options = [
      url,
      "--quiet",
      "--only-categories=performance,accessibility,best-practices",
      "--chrome-flags=--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-background-networking",
      "--output=json",
      `--output-path=${out}`,
    ];
    execFileSync("lighthouse", options, {
      env: { ...process.env, CHROME_PATH: process.env.CHROME_PATH ?? chromium },
      stdio: ["ignore", "ignore", "inherit"],
    });
    reports.push(JSON.parse(readFileSync(out, "utf8")));
  }
  const page = new URL(url).pathname.startsWith("/videos")
    ? "video"
    : "library";
  console.log(`${page}, median of ${runs}:`);
  for (const [name, { title }] of Object.entries(reports[0].categories))
    console.log(
      `  ${title.padEnd(18)} ${median(reports.map((each) => each.categories[name].score * 100))}`,
    );
  for (const [name, audit] of Object.entries(AUDITS))
    console.log(
      `  ${name.padEnd(18)} ${median(reports.map((each) => each.audits[audit].numericValue)).toFixed(audit === "cumulative-layout-shift" ? 3 : 0)}`,
    );
  console.log(
    `  ${"benchmark index".padEnd(18)} ${median(reports.map((each) => each.environment.benchmarkIndex))}`,
  );
  for (const { id, title, score } of Object.values(reports[0].audits))
    if (score !== null && score < 0.9 && process.env.VERBOSE)
      console.log(`    ${id}: ${title}`);
}
rmSync(folder, { recursive: true });
