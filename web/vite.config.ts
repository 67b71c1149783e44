import { defineConfig, type Plugin } from "vite";
import react from "@vitejs/plugin-react";
import { mockApi } from "./mock-api/plugin.ts";

/** A running node to speak to; without one, dev and preview answer from `mock-api`. */
const node = process.env["REELMESH_URL"];

/** Puts the small style sheet of the first screen into the page, so that nothing blocks its first paint. */
function inlineStyles(): Plugin {
  return {
    name: "inline-styles",
    apply: "build",
    enforce: "post",
    generateBundle(_options, bundle) {
      const page = bundle["index.html"];
      if (page?.type !== "asset") return;
      let html = String(page.source);
      html = html.replace(/<link rel="stylesheet"[^>]*href="\/([^"]+\.css)"[^>]*>/g, (tag, file: string) => {
        const sheet = bundle[file];
        if (sheet?.type !== "asset") return tag;
        delete bundle[file];
        return `<style>${String(sheet.source).trim()}</style>`;
      });
      page.source = html;
    },
  };
}

const proxy = node
  ? Object.fromEntries(["/api", "/hls", "/docs"].map((path) => [path, { target: node, changeOrigin: true }]))
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
