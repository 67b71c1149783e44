// Walks a video's playlists and segments and names every rule that they break.
//
//     node scripts/lint-hls.mjs [--growing] [--json] URL...
//
// URL is that of a multivariant playlist. Ends with 1 if a MUST is broken; SHOULDs are printed.

import { lint } from "./hls/rules.mjs";

const args = process.argv.slice(2);
const growing = args.includes("--growing");
const json = args.includes("--json");
const urls = args.filter((arg) => !arg.startsWith("--"));
if (urls.length === 0) {
  console.error("usage: lint-hls.mjs [--growing] [--json] URL...");
  process.exit(2);
}

async function get(url, range) {
  const headers = range ? { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` } : {};
  const response = await fetch(url, { headers, signal: AbortSignal.timeout(30_000) });
  const wanted = range ? 206 : 200;
  if (response.status !== wanted) throw new Error(`${url} answers ${response.status} instead of ${wanted}`);
  const bytes = Buffer.from(await response.arrayBuffer());
  return { bytes, headers: Object.fromEntries(response.headers) };
}

let broken = 0;
for (const url of urls) {
  const report = await lint(url, get, { growing });
  broken += report.must.length;
  if (json) console.log(JSON.stringify({ url, ...report }));
  else {
    for (const line of report.must) console.log(`MUST    ${line}`);
    for (const line of report.should) console.log(`should  ${line}`);
    console.log(`${url}: ${report.checks} checks, ${report.must.length} MUST and ${report.should.length} SHOULD broken`);
  }
}
process.exit(broken === 0 ? 0 : 1);
