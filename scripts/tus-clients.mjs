// Unmodified tus clients against a running node: what they upload must come back byte for byte.
//
//   node scripts/tus-clients.mjs BASE_URL CLIENT...     CLIENT: tus-js-client, uppy
//
// tus-js-client comes from web/node_modules, Uppy from $CLIENTS/node_modules (scripts/tus-clients.sh); Uppy runs in
// Chromium, on a page of another origin, at port $PAGE_PORT.
import { createHash, randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { Readable } from "node:stream";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [base, ...clients] = process.argv.slice(2);
if (!base || clients.length === 0) {
  console.error("usage: tus-clients.mjs BASE_URL CLIENT...");
  process.exit(2);
}
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const endpoint = `${base}/api/v1/uploads`;
const token = process.env.REELMESH_TOKEN;
const headers = token ? { Authorization: `Bearer ${token}` } : {};
const MIB = 1024 * 1024;

let failed = 0;
async function check(name, run) {
  const began = performance.now();
  // A client that waits for ever is a failure with a name, not a script that hangs.
  let timer;
  const late = new Promise((_, no) => {
    timer = setTimeout(() => no(new Error("not done within 60 s")), 60_000);
  });
  try {
    await Promise.race([run(), late]);
    console.log(`ok    ${name}  (${Math.round(performance.now() - began)} ms)`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}: ${error?.stack ?? error}`);
  }
  clearTimeout(timer);
}

function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The original of `video` as the node gives it back, and the name it is shown under. */
async function expectVideo(video, file, filename) {
  if (!video) throw new Error("no answer carried Reelmesh-Video-Id");
  const shown = await (await fetch(`${base}/api/v1/videos/${video}`, { headers })).json();
  if (shown.filename !== filename) throw new Error(`shown as ${shown.filename}, not ${filename}`);
  const answer = await fetch(`${base}/api/v1/videos/${video}/original`, { headers });
  const bytes = Buffer.from(await answer.arrayBuffer());
  if (sha256(bytes) !== sha256(file)) throw new Error(`came back with other bytes (${bytes.length})`);
  await fetch(`${base}/api/v1/videos/${video}`, { method: "DELETE", headers });
}

async function tusJsClient() {
  const require = createRequire(path.join(root, "web/package.json"));
  // The build for node: its package's exports name it for `import` only.
  const folder = path.dirname(require.resolve("tus-js-client/package.json"));
  const tus = await import(pathToFileURL(path.join(folder, "lib.esm/node/index.js")).href);

  const upload = (file, filename, options = {}, steer = () => {}) =>
    new Promise((yes, no) => {
      let video = null;
      const each = new tus.Upload(file, {
        endpoint,
        headers,
        metadata: { filename },
        retryDelays: [0, 200, 500, 1000],
        onAfterResponse: (_request, response) => {
          video = response.getHeader("Reelmesh-Video-Id") || video;
        },
        onSuccess: () => yes(video),
        onError: no,
        ...options,
      });
      steer(each);
      each.start();
    });

  const file = randomBytes(9 * MIB + 12_345);
  const whole = (name, options, source = () => file) =>
    check(`tus-js-client: ${name}`, async () => {
      const filename = `${name}.bin`;
      await expectVideo(await upload(source(), filename, options), file, filename);
    });
  await whole("one request", {});
  await whole("pieces of 1 MiB", { chunkSize: MIB });
  await whole("bytes with the creation", { uploadDataDuringCreation: true });
  await whole("four parts side by side", { parallelUploads: 4 });
  await whole("parts in pieces", { parallelUploads: 3, chunkSize: MIB });
  await whole("PATCH as POST", { overridePatchMethod: true, chunkSize: 4 * MIB });
  await whole("a stream of unknown length", { uploadLengthDeferred: true, chunkSize: 2 * MIB }, () =>
    Readable.from(slices(file, 700_000)),
  );
  await check("tus-js-client: more parts than bytes", async () => {
    const tiny = randomBytes(3);
    await expectVideo(await upload(tiny, "tiny.bin", { parallelUploads: 5 }), tiny, "tiny.bin");
  });
  await check("tus-js-client: stopped and gone on with", async () => {
    const url = await new Promise((yes, no) => {
      void upload(file, "resumed.bin", { chunkSize: MIB }, (each) => {
        each.options.onChunkComplete = (_size, accepted) => {
          if (accepted < 3 * MIB) return;
          each.abort().then(() => yes(each.url), no);
        };
      }).catch(no);
    });
    let first = null;
    const video = await upload(file, "resumed.bin", {
      uploadUrl: url,
      onChunkComplete: (_size, accepted) => (first ??= accepted),
      chunkSize: MIB,
    });
    if (first < 4 * MIB) throw new Error(`began again at ${first}`);
    await expectVideo(video, file, "resumed.bin");
  });
  await check("tus-js-client: given up", async () => {
    const url = await new Promise((yes, no) => {
      void upload(file, "gone.bin", { chunkSize: MIB }, (each) => {
        each.options.onChunkComplete = () => each.abort(true).then(() => yes(each.url), no);
      }).catch(no);
    });
    const answer = await fetch(url, { method: "HEAD", headers: { ...headers, "Tus-Resumable": "1.0.0" } });
    if (answer.status !== 404) throw new Error(`answers ${answer.status} after it was given up`);
  });
  await check("tus-js-client: a refusal is told in words", async () => {
    const error = await upload(Buffer.alloc(0), "empty.bin", { retryDelays: null }).catch((error) => error);
    const problem = JSON.parse(error.originalResponse.getBody());
    if (problem.code !== "empty_file") throw new Error(`said ${problem.code}`);
  });
}

function* slices(file, size) {
  for (let at = 0; at < file.length; at += size) yield file.subarray(at, at + size);
}

/** In a browser, from a page of another origin: so the node must let that origin in. */
async function uppy() {
  const clients = process.env.CLIENTS ?? root;
  const from = createRequire(path.join(root, "web/package.json"));
  const { rolldown } = await import(pathToFileURL(from.resolve("rolldown")).href);
  const entry = path.join(clients, "uppy-page.mjs");
  writeFileSync(
    entry,
    'import Uppy from "@uppy/core"; import Tus from "@uppy/tus"; Object.assign(globalThis, { Uppy, Tus });',
  );
  const bundle = await rolldown({ input: entry, platform: "browser", logLevel: "silent" });
  const { output } = await bundle.generate({ format: "iife" });
  await bundle.close();

  const pages = createServer((request, response) => {
    const script = request.url === "/uppy.js";
    response.setHeader("Content-Type", script ? "text/javascript" : "text/html");
    response.end(script ? output[0].code : '<!doctype html><title>Uppy</title><script src="/uppy.js"></script>');
  });
  await new Promise((yes) => pages.listen(Number(process.env.PAGE_PORT ?? 0), "127.0.0.1", yes));

  const { openBrowser } = await import(pathToFileURL(path.join(root, "web/e2e/browser.mjs")).href);
  const browser = await openBrowser();
  const page = await browser.newPage();
  page.on("console", (line) => line.type() === "error" && console.log(`      browser: ${line.text()}`));
  await page.goto(`http://127.0.0.1:${pages.address().port}/`);
  const file = randomBytes(7 * MIB + 321);
  for (const [name, options] of [
    ["one request", {}],
    ["pieces of 1 MiB", { chunkSize: MIB }],
    ["three parts side by side", { parallelUploads: 3 }],
    ["bytes with the creation", { uploadDataDuringCreation: true }],
  ]) {
    await check(`uppy in Chromium: ${name}`, async () => {
      const filename = `uppy ${name}.bin`;
      const video = await page.evaluate(uploadByUppy, {
        endpoint,
        headers,
        options,
        filename,
        base64: file.toString("base64"),
      });
      await expectVideo(video, file, filename);
    });
  }
  await browser.close();
  pages.close();
}

/** Runs in the page. */
async function uploadByUppy({ endpoint, headers, options, filename, base64 }) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  let video = null;
  const uppy = new globalThis.Uppy().use(globalThis.Tus, {
    endpoint,
    headers,
    retryDelays: [0, 500],
    removeFingerprintOnSuccess: true,
    onAfterResponse: (_request, response) => {
      video = response.getHeader("Reelmesh-Video-Id") || video;
    },
    ...options,
  });
  uppy.addFile({ name: filename, type: "application/octet-stream", data: new Blob([bytes]) });
  const { failed } = await uppy.upload();
  if (failed.length > 0) throw new Error(String(failed[0].error));
  return video;
}

const known = { "tus-js-client": tusJsClient, uppy };
for (const client of clients) {
  if (!known[client]) {
    console.error(`no such client: ${client}`);
    process.exit(2);
  }
  await known[client]();
}
process.exit(failed > 0 ? 1 : 0);
