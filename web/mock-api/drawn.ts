// Pictures and sound for videos that have neither: posters, sheets of small pictures, outlines of sound.

export interface Drawn {
  type: string;
  body: string | Buffer;
}

const COLUMNS = 10;
const WIDTH = 192;
const HEIGHT = 108;

/** What `/hls/drawn/...` gives; `null` for what it does not know. */
export function drawn(path: string, query: URLSearchParams): Drawn | null {
  const seed = Number(query.get("seed") ?? 0);
  const frames = Number(query.get("frames") ?? 200);
  const fps = Number(query.get("fps") ?? 25);
  const suffix = `seed=${seed}&frames=${frames}&fps=${fps}`;
  const seconds = Math.min(100, Math.max(1, Math.ceil(frames / fps)));
  if (path.startsWith("/hls/drawn/thumb-")) return { type: "image/svg+xml", body: picture(seed, 16, 9) };
  if (path === "/hls/drawn/sprites.json") {
    const rows = Math.ceil(seconds / COLUMNS);
    const cells = Array.from({ length: seconds }, (_, at) => ({
      frame: Math.min(frames - 1, Math.round(((at + 0.5) * frames) / seconds)),
      start_ms: Math.round((at * frames * 1000) / seconds / fps),
      end_ms: Math.round(((at + 1) * frames * 1000) / seconds / fps),
      sheet: 0,
      x: (at % COLUMNS) * WIDTH,
      y: Math.floor(at / COLUMNS) * HEIGHT,
    }));
    const sheet = { url: `sheet.svg?${suffix}`, width: COLUMNS * WIDTH, height: rows * HEIGHT };
    return json({ width: WIDTH, height: HEIGHT, sheets: [sheet], cells });
  }
  if (path === "/hls/drawn/sheet.svg") {
    const rows = Math.ceil(seconds / COLUMNS);
    const cells = Array.from(
      { length: seconds },
      (_, at) =>
        `<svg x="${(at % COLUMNS) * WIDTH}" y="${Math.floor(at / COLUMNS) * HEIGHT}" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 16 9" preserveAspectRatio="none">${inner(seed + at, at / seconds)}</svg>`,
    );
    const size = `width="${COLUMNS * WIDTH}" height="${rows * HEIGHT}"`;
    return {
      type: "image/svg+xml",
      body: `<svg xmlns="http://www.w3.org/2000/svg" ${size}>${cells.join("")}</svg>`,
    };
  }
  if (path === "/hls/drawn/peaks.json") {
    const levels = levelsOf(frames / fps);
    let offset = 0;
    const described = levels.map(({ samples_per_bucket, buckets }) => {
      const level = { samples_per_bucket, buckets, offset };
      offset += 24 + buckets * 4;
      return level;
    });
    const track = { track: "audio", url: `peaks.dat?${suffix}`, sample_rate: 48000, channels: 2 };
    return json({ tracks: [{ ...track, levels: described }] });
  }
  if (path === "/hls/drawn/peaks.dat") {
    return { type: "application/octet-stream", body: Buffer.concat(levelsOf(frames / fps).map(block)) };
  }
  return null;
}

function json(body: unknown): Drawn {
  return { type: "application/json", body: JSON.stringify(body) };
}

function picture(seed: number, width: number, height: number): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}">${inner(seed, 0.5)}</svg>`;
}

function inner(seed: number, at: number): string {
  const hue = (seed * 47) % 360;
  const x = 2 + at * 12;
  return `<rect width="16" height="9" fill="hsl(${hue} 25% 24%)"/><circle cx="${x.toFixed(2)}" cy="6" r="3.4" fill="hsl(${(hue + 40) % 360} 30% 38%)"/>`;
}

function levelsOf(seconds: number): { samples_per_bucket: number; buckets: number }[] {
  const samples = Math.round(seconds * 48000);
  return [16384, 2048, 256].map((samples_per_bucket) => ({
    samples_per_bucket,
    buckets: Math.ceil(samples / samples_per_bucket),
  }));
}

/** One block of `audiowaveform`, version 2, 8 bits, two channels. */
function block({ samples_per_bucket, buckets }: { samples_per_bucket: number; buckets: number }): Buffer {
  const bytes = Buffer.alloc(24 + buckets * 4);
  for (const [at, value] of [2, 1, 48000, samples_per_bucket, buckets, 2].entries())
    bytes.writeInt32LE(value, at * 4);
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    const seconds = (bucket * samples_per_bucket) / 48000;
    const loud = 20 + 90 * Math.abs(Math.sin(seconds * 1.7) * Math.sin(seconds * 0.31 + 1));
    for (const channel of [0, 1]) {
      const height = Math.round(loud * (channel === 0 ? 1 : 0.8));
      bytes.writeInt8(-height, 24 + bucket * 4 + channel * 2);
      bytes.writeInt8(height, 25 + bucket * 4 + channel * 2);
    }
  }
  return bytes;
}
