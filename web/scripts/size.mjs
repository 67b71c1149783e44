// Holds the first load to its budget: the script that `index.html` asks for and all that it imports at once;
// and sees that whatever a chunk asks for is there.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const DIST = new URL("../dist/", import.meta.url).pathname;
const LIMIT_BYTES = 95_000;

if (!existsSync(join(DIST, "index.html"))) {
  console.error("size: there is no dist/index.html; run `npm run build` first");
  process.exit(2);
}
const sizeOf = (path) => gzipSync(readFileSync(path), { level: 9 }).length;
const html = readFileSync(join(DIST, "index.html"), "utf8");
const first = new Set();
const visit = (file) => {
  if (first.has(file)) return;
  first.add(file);
  const source = readFileSync(join(DIST, file), "utf8");
  for (const [, name] of source.matchAll(/(?:from|import)\s*"\.\/([^"]+\.js)"/g)) visit(join("assets", name));
};
for (const [, file] of html.matchAll(/<script[^>]+src="\/([^"]+\.js)"/g)) visit(file);
for (const [, file] of html.matchAll(/<link rel="modulepreload"[^>]*href="\/([^"]+\.js)"/g)) visit(file);
if (first.size === 0) {
  console.error("size: index.html asks for no script; this check would not see anything");
  process.exit(2);
}

// A chunk that asks for a file that was not written loads the page anew, for ever.
for (const name of readdirSync(join(DIST, "assets")).filter((each) => each.endsWith(".js"))) {
  const source = readFileSync(join(DIST, "assets", name), "utf8");
  for (const [, file] of source.matchAll(/"(assets\/[^"]+\.(?:js|css))"/g)) {
    if (existsSync(join(DIST, file))) continue;
    console.error(`size: ${name} asks for ${file}, which is not there`);
    process.exit(1);
  }
}

let total = 0;
const kilo = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
console.log("first load, gzip:");
for (const file of first) {
  const size = sizeOf(join(DIST, file));
  total += size;
  console.log(`  ${kilo(size).padStart(9)}  ${file}`);
}
console.log(`  ${kilo(sizeOf(join(DIST, "index.html"))).padStart(9)}  index.html (not counted)`);
console.log("later, gzip:");
for (const name of readdirSync(join(DIST, "assets")).filter((each) => /\.(js|css)$/.test(each))) {
  const file = join("assets", name);
  if (!first.has(file)) console.log(`  ${kilo(sizeOf(join(DIST, file))).padStart(9)}  ${file}`);
}
console.log(`size: ${kilo(total)} of script on the first route; the limit is ${kilo(LIMIT_BYTES)}`);
if (total > LIMIT_BYTES) {
  console.error("size: over the limit");
  process.exit(1);
}
