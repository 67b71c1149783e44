// Makes `src/api/generated.ts` of `openapi.json`, or with `--check` says whether it was made of it and not touched since.
//
//     npm run types
//     npm run types:check
//
// The generator wants another TypeScript than this package has, so it is fetched beside it, and only to generate.
// `openapi.json` itself is what a node says of its API; a test of the node holds it to that.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";

const here = (path) => new URL(`../${path}`, import.meta.url).pathname;
const SOURCE = here("openapi.json");
const TARGET = here("src/api/generated.ts");
const TOOLS = ["openapi-typescript@7.13.0", "typescript@5.9.3"];

const hash = (text) => createHash("sha256").update(text).digest("hex").slice(0, 32);
const head = (source, body) =>
  `// Made by \`npm run types\` of openapi.json; not to be edited.\n// openapi.json ${hash(source)}, what follows ${hash(body)}\n\n`;

const source = readFileSync(SOURCE, "utf8");
if (process.argv.includes("--check")) {
  const text = existsSync(TARGET) ? readFileSync(TARGET, "utf8") : "";
  const body = text.split("\n").slice(3).join("\n");
  if (text !== head(source, body) + body) {
    console.error("types: src/api/generated.ts is not what openapi.json gives; run `npm run types`");
    process.exit(1);
  }
  console.log("types: src/api/generated.ts is fresh");
} else {
  const packages = TOOLS.map((name) => `--package=${name}`);
  const options = ["exec", "--yes", ...packages, "--", "openapi-typescript", SOURCE, "-o", TARGET];
  execFileSync("npm", options, { stdio: ["ignore", "ignore", "inherit"] });
  // As the rest is formatted, so that the check of the formatting holds as well.
  execFileSync("npx", ["prettier", "--write", TARGET], {
    stdio: ["ignore", "ignore", "inherit"],
    cwd: here(""),
  });
  const body = readFileSync(TARGET, "utf8");
  writeFileSync(TARGET, head(source, body) + body);
}
