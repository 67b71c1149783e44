// What the mock knows: videos, jobs and a node, with a little life of their own.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { EventData, Job, Node, Video } from "../src/api/types.ts";

type Info = Pick<
  Video,
  | "filename"
  | "size_bytes"
  | "duration_frames"
  | "frame_rate"
  | "width"
  | "height"
  | "video_codec"
  | "audio_tracks"
  | "renditions"
>;

export type Tell = <Name extends keyof EventData>(name: Name, data: EventData[Name]) => void;

/** How many videos the library starts with; `MOCK_VIDEOS=0` shows an empty one. */
const COUNT = Number(process.env["MOCK_VIDEOS"] ?? 48);
/** Prepared by `make-media.mjs`. */
export const MEDIA = process.env["MOCK_MEDIA"] ?? "/tmp/reelmesh-mock-media";

const NAMES = [
  "A003_C012_0412XK_graded.mov",
  "Dailies day 4 – harbour, second unit.mp4",
  "interview_ruth_cam-b.mxf",
  "Trailer_v07_textless.mov",
  "drone-pass-03.mp4",
  "SC014_TK05_LEDwall.mov",
  "Room tone and slates.mp4",
  "timelapse-old-town-4k.mkv",
  "VFX_0210_plate_clean.mov",
  "B-roll market, early morning.mp4",
  "archive_1987_tape12_side2.avi",
  "press-kit-clip-en.webm",
];

const uuid = (number: number) =>
  `01930d5c-${String(number).padStart(4, "0")}-7000-8000-${String(number * 7919).padStart(12, "0")}`;
const hash = (seed: number) =>
  Array.from({ length: 64 }, (_, index) =>
    ((seed * 31 + index * 17 + ((seed * index) % 13)) % 16).toString(16),
  ).join("");

export class Db {
  readonly videos = new Map<string, Video>();
  readonly jobs = new Map<string, Job>();
  readonly media: { folder: string; info: Info }[] = [];
  readonly node: Node;
  private readonly tell: Tell;
  private serial = 0;

  constructor(tell: Tell) {
    this.tell = tell;
    if (existsSync(MEDIA)) {
      for (const folder of readdirSync(MEDIA).sort()) {
        const path = join(MEDIA, folder, "info.json");
        if (existsSync(path))
          this.media.push({ folder, info: JSON.parse(readFileSync(path, "utf8")) as Info });
      }
    }
    this.node = {
      id: uuid(9999),
      name: "studio-1",
      site: "studio",
      role: "voter",
      leader: true,
      version: "0.1.0",
      state: "up",
      seen_at: new Date().toISOString(),
      lag: 0,
      slots: 2,
      slots_busy: 1,
      cpu_cores: 16,
      cpu_permille: 430,
      memory_total_bytes: 64e9,
      memory_used_bytes: 21e9,
      disk_total_bytes: 4e12,
      disk_free_bytes: 2.6e12,
      encoders: ["x264enc"],
      sandbox: "full",
    };
    const now = Date.now();
    for (let index = 0; index < COUNT; index += 1) {
      const created = new Date(now - index * index * 61_000 - index * 700_000 - 20_000).toISOString();
      const video = this.seeded(index, created);
      this.videos.set(video.id, video);
      this.seedJobs(video);
    }
    const live = [...this.videos.values()].filter(
      ({ status }) => status === "rendering" || status === "uploading",
    );
    for (const video of live) this.move(video.id);
  }

  private seeded(index: number, created_at: string): Video {
    const medium = this.media[index % Math.max(1, this.media.length)];
    const stem = NAMES[index % NAMES.length] ?? "clip.mp4";
    const filename =
      index < NAMES.length
        ? stem
        : stem.replace(/(\.[a-z0-9]+)$/, ` ${Math.floor(index / NAMES.length) + 1}$1`);
    const base = this.ready(uuid(++this.serial), filename, medium, created_at, index);
    if (index === 1) return { ...base, status: "rendering", progress_permille: 380 };
    if (index === 2) return { ...this.bare(base), status: "failed", size_bytes: 300_000, error: FAILED };
    if (index === 4) return { ...this.bare(base), status: "uploading", progress_permille: 610, blake3: null };
    if (index === 6) return { ...this.bare(base), status: "probing", progress_permille: 0 };
    if (index === 8) {
      return {
        ...base,
        status: "failed",
        hls_url: null,
        error: {
          ...FAILED,
          code: "origin_full",
          message:
            "The node ran out of disk while it rendered this video. Free some space on studio-1, then try again.",
          retryable: true,
        },
      };
    }
    return base;
  }

  /** A video that is done, made of one of the prepared media. */
  ready(
    id: string,
    filename: string,
    medium: { folder: string; info: Info } | undefined,
    created_at: string,
    seed: number,
  ): Video {
    const info = medium?.info;
    const rate = info?.frame_rate ?? { num: 24000, den: 1001 };
    return {
      id,
      filename,
      created_at,
      size_bytes: info?.size_bytes ?? 734_003_200 + seed * 91_311_007,
      blake3: hash(seed + 1),
      status: "ready",
      progress_permille: 1000,
      duration_frames: info?.duration_frames ?? 1440 + seed * 977,
      frame_rate: rate,
      start_timecode: seed % 3 === 2 ? null : `${String((seed % 20) + 1).padStart(2, "0")}:00:00:00`,
      width: info?.width ?? 1920,
      height: info?.height ?? 1080,
      video_codec: info?.video_codec ?? (["h264", "prores", "hevc"][seed % 3] as string),
      container: /\.([a-z0-9]+)$/.exec(filename)?.[1]?.toUpperCase() ?? "MP4",
      audio_tracks: info?.audio_tracks ?? [{ codec: "pcm", channels: 2, sample_rate: 48000, language: "en" }],
      renditions: info?.renditions ?? [
        { name: "1080p", resolution: { width: 1920, height: 1080 }, video_kbps: 5000 },
      ],
      hls_url: medium ? `/hls/${medium.folder}/master.m3u8` : null,
      thumbnails: [320, 640, 1280].map((width) => ({
        size: `${width}w` as "320w",
        url: medium
          ? `/hls/${medium.folder}/thumb-${width}.jpg`
          : `/hls/drawn/thumb-${width}.svg?seed=${seed}`,
        width,
        height: Math.round((width * (info?.height ?? 9)) / (info?.width ?? 16)),
      })),
      generation: uuid(seed + 5000),
      clips: [],
      remarks:
        seed % 5 === 0 ? ["The picture is stored turned by 90 degrees; the proxy shows it upright."] : [],
      error: null,
    };
  }

  private bare(video: Video): Video {
    return {
      ...video,
      duration_frames: null,
      frame_rate: null,
      start_timecode: null,
      width: null,
      height: null,
      video_codec: null,
      container: null,
      audio_tracks: [],
      renditions: [],
      hls_url: null,
      thumbnails: [],
      generation: null,
      remarks: [],
    };
  }

  private seedJobs(video: Video) {
    if (video.status === "uploading") return;
    const state = (index: number): Job["state"] => {
      if (video.status === "ready") return "done";
      if (video.status === "probing") return "running";
      if (video.status === "failed") return index === 0 && video.error?.retryable ? "done" : "failed";
      return index < 2 ? "done" : index === 2 ? "running" : "waiting";
    };
    const kinds = ["probe", "stills", "piece-0000", "piece-0001", "audio"];
    const whole = video.status !== "probing" && !(video.status === "failed" && !video.error?.retryable);
    for (const [index, kind] of (whole ? kinds : kinds.slice(0, 1)).entries())
      this.addJob(video, kind, state(index));
  }

  private addJob(video: Video, kind: string, state: Job["state"]): Job {
    const at = Date.parse(video.created_at);
    const job: Job = {
      id: uuid(++this.serial),
      video: video.id,
      filename: video.filename,
      kind,
      state,
      node: state === "waiting" ? null : "studio-1",
      attempts: state === "waiting" ? 0 : state === "failed" ? 3 : 1,
      max_attempts: 3,
      progress_permille: state === "done" ? 1000 : state === "running" ? 420 : 0,
      created_at: video.created_at,
      started_at: state === "waiting" ? null : new Date(at + 1000).toISOString(),
      finished_at: state === "done" || state === "failed" ? new Date(at + 8000).toISOString() : null,
      waiting_because:
        state === "waiting" ? ["Both slots of studio-1 are busy; it is the second in line."] : [],
      failure:
        state === "failed" && video.error
          ? { class: video.error.retryable ? "resource" : "input", ...strip(video.error) }
          : null,
    };
    this.jobs.set(job.id, job);
    return job;
  }

  change(id: string, part: Partial<Video>) {
    const old = this.videos.get(id);
    if (!old) return;
    const video = { ...old, ...part };
    this.videos.set(id, video);
    this.tell("video", video);
  }

  changeJob(id: string, part: Partial<Job>) {
    const old = this.jobs.get(id);
    if (!old) return;
    const job = { ...old, ...part };
    this.jobs.set(id, job);
    this.tell("job", job);
  }

  remove(id: string): boolean {
    if (!this.videos.delete(id)) return false;
    for (const job of this.jobs.values()) if (job.video === id) this.jobs.delete(job.id);
    this.tell("video_deleted", { id });
    return true;
  }

  /** Lets a seeded video move a little, for ever short of its end, so that there is something to look at. */
  private move(id: string) {
    const timer = setInterval(() => {
      const video = this.videos.get(id);
      if (!video) return clearInterval(timer);
      const next = video.progress_permille >= 985 ? 120 : video.progress_permille + 7;
      this.change(id, { progress_permille: next });
      for (const job of this.jobs.values()) {
        if (job.video === id && job.state === "running") this.changeJob(job.id, { progress_permille: next });
      }
    }, 1200);
    timer.unref();
  }

  /** A file that has come in whole: what follows takes about as long as a person cares to wait. */
  uploaded(filename: string, size_bytes: number): string {
    const id = uuid(++this.serial);
    const seed = this.serial;
    const medium = this.media.find(({ info }) => info.filename === filename) ?? this.media[0];
    const done = {
      ...this.ready(id, filename, medium, new Date().toISOString(), seed),
      size_bytes,
      remarks: [],
    };
    const first: Video = { ...this.bare(done), status: "probing", progress_permille: 0 };
    this.videos.set(id, first);
    this.tell("video", first);
    const probe = this.addJob(first, "probe", "running");
    this.tell("job", probe);
    if (!/\.(mp4|mov|mkv|webm|mxf|avi|ts|m4v)$/i.test(filename)) {
      setTimeout(() => {
        this.change(id, { status: "failed", error: FAILED });
        this.changeJob(probe.id, { state: "failed", failure: { class: "input", ...strip(FAILED) } });
      }, 1200);
      return id;
    }
    setTimeout(() => {
      this.changeJob(probe.id, {
        state: "done",
        progress_permille: 1000,
        finished_at: new Date().toISOString(),
      });
      const kinds = ["stills", "piece-0000", "audio"].map((kind) => this.addJob(first, kind, "running"));
      this.change(id, { ...done, status: "rendering", progress_permille: 0, hls_url: null, thumbnails: [] });
      let permille = 0;
      const timer = setInterval(() => {
        permille = Math.min(1000, permille + 125);
        for (const job of kinds) {
          const over = permille === 1000;
          this.changeJob(job.id, {
            progress_permille: permille,
            ...(over ? { state: "done", finished_at: new Date().toISOString() } : {}),
          });
        }
        if (permille < 1000)
          return this.change(id, {
            progress_permille: permille,
            ...(permille > 300 ? { thumbnails: done.thumbnails } : {}),
          });
        clearInterval(timer);
        this.change(id, done);
      }, 400);
    }, 1000);
    return id;
  }
}

const FAILED = {
  code: "not_a_video",
  message:
    "This file holds no picture that can be played: it ends in the middle of its index. Export or copy it again, then upload the new file.",
  detail: "typefind: video/quicktime\nqtdemux: truncated atom 'moov', 18234 of 2231876 bytes",
  retryable: false,
};

function strip({ code, message, detail }: { code: string; message: string; detail: string }) {
  return { code, message, detail };
}
