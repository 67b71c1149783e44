// Breaks a really rendered video in one way after the other and asks whether the linter sees it: a
// check that cannot fail proves nothing.
//
//     node scripts/hls/rules.check.mjs URL

import assert from "node:assert/strict";
import { lint } from "./rules.mjs";

const url = process.argv[2];
const cache = new Map();

async function whole(address) {
  if (!cache.has(address)) {
    const response = await fetch(address);
    assert.equal(response.status, 200, address);
    const headers = Object.fromEntries(response.headers);
    cache.set(address, { bytes: Buffer.from(await response.arrayBuffer()), headers });
  }
  return cache.get(address);
}

/** Fetches from memory, with `change` applied to what comes. */
function through(change) {
  return async (address, range) => {
    const found = await whole(address);
    const broken = change(address, Buffer.from(found.bytes), { ...found.headers });
    let bytes = broken?.bytes ?? found.bytes;
    if (range) bytes = bytes.subarray(range.offset, range.offset + range.length);
    return { bytes, headers: broken?.headers ?? found.headers };
  };
}

const text = (pattern, edit) => (address, bytes) =>
  pattern.test(address) ? { bytes: Buffer.from(edit(bytes.toString("utf8"))) } : undefined;
const box = (bytes, kind, from = 0) => bytes.indexOf(kind, from, "latin1");
let once = null;
const first = (pattern, edit) => (address, bytes, headers) => {
  if (!pattern.test(address)) return undefined;
  once ??= address;
  return once === address ? edit(bytes, headers) : undefined;
};

const MASTER = /master\.m3u8$/;
const BREAKS = {
  "adds up to": text(/720p\/media\.m3u8$/, (list) => list.replace(/#EXTINF:(\d)/, "#EXTINF:1$1")),
  "the target is": text(/720p\/media\.m3u8$/, (list) => list.replace(/TARGETDURATION:\d+/, "TARGETDURATION:1")),
  "do not begin where": text(/720p\/media\.m3u8$/, (list) => list.replace(/#EXTINF.*\n.*\n(#EXT-X-ENDLIST)/, "$1")),
  "ENDLIST is missing": text(/media\.m3u8$/, (list) => list.replace("#EXT-X-ENDLIST\n", "").replace("VOD", "EVENT")),
  "CODECS avc1": text(MASTER, (list) => list.replace(/avc1\.64001f,/, "avc1.64001e,")),
  "AVERAGE-BANDWIDTH": text(MASTER, (list) => list.replace(/AVERAGE-BANDWIDTH=(\d)/, "AVERAGE-BANDWIDTH=1$1")),
  "RESOLUTION": text(MASTER, (list) => list.replace("1280x720", "1280x718")),
  "FRAME-RATE": text(MASTER, (list) => list.replace(/FRAME-RATE=[\d.]+/, "FRAME-RATE=12.000")),
  "VIDEO-RANGE": text(MASTER, (list) => list.replaceAll("VIDEO-RANGE=SDR,", "")),
  "there is no group": text(MASTER, (list) => list.replace('AUDIO="audio"', 'AUDIO="other"')),
  "no I-frame playlist": text(MASTER, (list) => list.replace(/#EXT-X-I-FRAME-STREAM.*\n/g, "")),
  "unknown tags": text(/360p\/media\.m3u8$/, (list) => `${list}#EXT-X-NONSENSE\n`),
  "INDEPENDENT-SEGMENTS is missing": text(MASTER, (list) => list.replace("#EXT-X-INDEPENDENT-SEGMENTS\n", "")),
  "does not end with its picture": text(/720p\/iframes\.m3u8$/, (list) =>
    list.replace(/BYTERANGE:(\d+)@/, (_, size) => `BYTERANGE:${Number(size) - 1}@`),
  ),
  "listed at": text(/720p\/iframes\.m3u8$/, (list) => list.replace(/#EXTINF:2\./, "#EXTINF:1.")),
  "a gap": first(/720p\/.*m4s$/, (bytes) => {
    const second = box(bytes, "tfdt", box(bytes, "tfdt") + 4);
    bytes.writeBigUInt64BE(bytes.readBigUInt64BE(second + 8) + 1n, second + 8);
    return { bytes };
  }),
  "does not decode alone": first(/720p\/.*m4s$/, (bytes) => {
    const run = box(bytes, "trun");
    bytes.writeUInt32BE(0x01010000, run + 4 + 4 + 4 + 4 + 8);
    return { bytes };
  }),
  "without an IDR": first(/720p\/.*m4s$/, (bytes) => {
    let at = box(bytes, "mdat") + 4;
    while ((bytes[at + 4] & 0x1f) !== 5) at += 4 + bytes.readUInt32BE(at);
    bytes[at + 4] = (bytes[at + 4] & 0xe0) | 1;
    return { bytes };
  }),
  "no strong ETag": first(/m4s$/, (bytes, headers) => ({ bytes, headers: { ...headers, etag: 'W/"1"' } })),
  "compressed a second time": first(/m4s$/, (bytes, headers) => ({
    bytes,
    headers: { ...headers, "content-encoding": "gzip" },
  })),
  "its type is": (address, bytes, headers) =>
    /360p\/media\.m3u8$/.test(address) ? { bytes, headers: { ...headers, "content-type": "text/plain" } } : undefined,
};

const good = await lint(url, through(() => undefined));
assert.deepEqual(good.must, [], "the video as it is breaks no rule");
for (const [words, change] of Object.entries(BREAKS)) {
  once = null;
  const report = await lint(url, through(change));
  const seen = report.must.some((line) => line.includes(words));
  assert.ok(seen, `"${words}" was not seen; the linter said: ${JSON.stringify(report.must.slice(0, 5))}`);
}
console.log(`linter: ${good.checks} checks hold, and each of ${Object.keys(BREAKS).length} mistakes is seen`);
