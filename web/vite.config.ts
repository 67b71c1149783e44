import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type Plugin } from "vite";
import react from "@vitejs/plugin-react";
import { mockApi } from "./mock-api/plugin.ts";

/** A running node to speak to; without one, dev and preview answer from `mock-api`. */
const node = process.env["REELMESH_URL"];

/** What the page may load: nothing from elsewhere, no script and no style that is not its own. */
const policy = (styleHashes: readonly string[]) =>
  [
    "default-src 'self'",
    "script-src 'self'",
    ["style-src 'self'", ...styleHashes].join(" "),
    "img-src 'self' data: blob:",
    "media-src 'self' blob:",
    "worker-src 'self' blob:",
    "connect-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");

/**
 * Puts the small style sheet of the first screen into the page, so that nothing blocks its first paint, and the
 * policy that allows just this sheet. A node sends a policy of its own; a browser obeys both.
 */
function inlineStyles(): Plugin {
  /** Files that are no more, and the script of the page, which is there already when a chunk asks for them. */
  const gone: string[] = [];
  let entry = "";
  return {
    name: "inline-styles",
    apply: "build",
    enforce: "post",
    generateBundle(_options, bundle) {
      const page = bundle["index.html"];
      if (page?.type !== "asset") return;
      const hashes: string[] = [];
      const html = String(page.source).replace(
        /<link rel="stylesheet"[^>]*href="\/([^"]+\.css)"[^>]*>/g,
        (tag, file: string) => {
          const sheet = bundle[file];
          if (sheet?.type !== "asset") return tag;
          delete bundle[file];
          gone.push(file);
          const style = String(sheet.source).trim();
          hashes.push(`'sha256-${createHash("sha256").update(style).digest("base64")}'`);
          return `<style>${style}</style>`;
        },
      );
      const meta = `<meta http-equiv="Content-Security-Policy" content="${policy(hashes)}" />`;
      page.source = html.replace("<meta charset", `${meta}\n    <meta charset`);
      entry = /<script[^>]+src="\/([^"]+\.js)"/.exec(html)?.[1] ?? "";
    },
    // Chunks that share a part of that sheet would ask for it as a file, and the page for itself anew.
    writeBundle({ dir = "" }, bundle) {
      for (const file of Object.keys(bundle).filter((each) => each.endsWith(".js"))) {
        const path = join(dir, file);
        const source = readFileSync(path, "utf8");
        const mended = gone.reduce((text, sheet) => text.replaceAll(`"${sheet}"`, `"${entry}"`), source);
        if (mended !== source) writeFileSync(path, mended);
      }
    },
  };
}

// A node refuses what another site asks for; what is asked for through here is its own page's.
const proxy = node
  ? Object.fromEntries(
      ["/api", "/hls", "/docs"].map((path) => [
        path,
        { target: node, changeOrigin: true, headers: { origin: node } },
      ]),
    )
  : {};

export default defineConfig({
  plugins: [react(), inlineStyles(), ...(node ? [] : [mockApi()])],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 700,
  },
  server: { host: "127.0.0.1", port: 5173, proxy },
  preview: { host: "127.0.0.1", port: 4173, proxy },
});
