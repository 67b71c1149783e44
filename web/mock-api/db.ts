// What the mock knows: videos with their subclips, jobs and nodes, with a little life of their own.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clip, ClipMode, EventData, Job, Node, Video } from "../src/api/types.ts";
import { timecodeAt } from "../src/player/timecode.ts";

/** What is known of a medium that was prepared to be watched. */
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
/** Folders of something to watch: the numbered reel that lies here, and what `make-media.mjs` prepared. */
export const MEDIA: ReadonlyMap<string, string> = new Map([
  ["reel", new URL("./reel", import.meta.url).pathname],
  ...preparedMedia(process.env["MOCK_MEDIA"] ?? join(tmpdir(), "reelmesh-mock-media")),
]);

function preparedMedia(folder: string): [name: string, path: string][] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .filter((name) => existsSync(join(folder, name, "info.json")))
    .map((name) => [name, join(folder, name)]);
}

/** A subclip as a client asks for it. */
export interface ClipWish {
  name: string;
  in_frame: number;
  out_frame: number;
  mode?: ClipMode;
  render?: boolean;
}

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

const TAGS = [["Day 4"], ["Day 4", "B-roll"], ["interview"], [], ["B-roll"]];

function drawnFor(seed: number, frames: number, rate: { num: number; den: number }): string {
  return `seed=${seed}&frames=${frames}&fps=${rate.num / rate.den}`;
}

const uuid = (number: number) =>
  `01930d5c-${String(number).padStart(4, "0")}-7000-8000-${String(number * 7919).padStart(12, "0")}`;
const hash = (seed: number) =>
  Array.from({ length: 64 }, (_, index) =>
    ((seed * 31 + index * 17 + ((seed * index) % 13)) % 16).toString(16),
  ).join("");

export class Db {
  readonly videos = new Map<string, Video>();
  readonly jobs = new Map<string, Job>();
  readonly clips = new Map<string, Clip>();
  private readonly arranged = new Map<string, readonly string[]>();
  readonly nodes: Node[];
  readonly media: { folder: string; info: Info; thumbnails: number[] }[] = [];
  private readonly tell: Tell;
  /** Newest first, until something is added or goes. */
  private order: { videos: Video[] | null; jobs: Job[] | null } = { videos: null, jobs: null };
  private serial = 0;

  constructor(tell: Tell) {
    this.tell = tell;
    for (const [folder, path] of MEDIA) {
      this.media.push({
        folder,
        info: JSON.parse(readFileSync(join(path, "info.json"), "utf8")) as Info,
        thumbnails: [320, 640, 1280].filter((width) => existsSync(join(path, `thumb-${width}.jpg`))),
      });
    }
    this.nodes = seededNodes();
    const now = Date.now();
    for (let index = 0; index < COUNT; index += 1) {
      const created = now - index * 700_000 - Math.min(index, 300) ** 2 * 61_000 - 20_000;
      const video = this.seeded(index, new Date(created).toISOString());
      this.videos.set(video.id, video);
      this.seedJobs(video);
    }
    const live = [...this.videos.values()].filter(
      ({ status }) => status === "rendering" || status === "uploading",
    );
    for (const video of live) this.move(video.id);
  }

  private seeded(index: number, created_at: string): Video {
    const medium =
      index < 12 || index % 7 === 0 ? this.media[index % Math.max(1, this.media.length)] : undefined;
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
    medium: { folder: string; info: Info; thumbnails: number[] } | undefined,
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
      encoded_because: null,
      status: "ready",
      private: false,
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
        { name: "1080p", resolution: { width: 1920, height: 1080 }, video_kbps: 5000, copy: false },
      ],
      hls_url: medium ? `/hls/${medium.folder}/master.m3u8` : null,
      thumbnails: (medium?.thumbnails ?? [320, 640, 1280]).map((width) => ({
        size: `${width}w` as "320w",
        url: medium
          ? `/hls/${medium.folder}/thumb-${width}.jpg`
          : `/hls/drawn/thumb-${width}.svg?seed=${seed}`,
        webp_url: medium
          ? `/hls/${medium.folder}/thumb-${width}.jpg`
          : `/hls/drawn/thumb-${width}.svg?seed=${seed}`,
        width,
        height: Math.round((width * (info?.height ?? 9)) / (info?.width ?? 16)),
      })),
      sprites_url: `/hls/drawn/sprites.json?${drawnFor(seed, info?.duration_frames ?? 1440 + seed * 977, rate)}`,
      peaks_url: `/hls/drawn/peaks.json?${drawnFor(seed, info?.duration_frames ?? 1440 + seed * 977, rate)}`,
      generation: uuid(seed + 5000),
      clips: [],
      tags: TAGS[seed % TAGS.length] ?? [],
      bins: [],
      open_markers: 0,
      copies: [
        { node: "studio-1", site: "studio" },
        ...(seed % 2 === 0 ? [{ node: "stage-1", site: "stage" }] : []),
      ],
      remarks:
        seed % 5 === 0 ? ["The picture is stored turned by 90 degrees; the proxy shows it upright."] : [],
      error: null,
      upload: null,
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
      sprites_url: null,
      peaks_url: null,
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
      node: state === "waiting" ? null : (this.nodes[this.serial % 2]?.name ?? null),
      attempts: state === "waiting" ? 0 : state === "failed" ? 3 : 1,
      max_attempts: 3,
      progress_permille: state === "done" ? 1000 : state === "running" ? 420 : 0,
      created_at: video.created_at,
      started_at: state === "waiting" ? null : new Date(at + 1000).toISOString(),
      finished_at: state === "done" || state === "failed" ? new Date(at + 8000).toISOString() : null,
      waiting_because:
        state === "waiting"
          ? ["All 2 slots of node studio-1 are busy.", "Node stage-1 is away; it last reported at 19:40 UTC."]
          : [],
      failure:
        state === "failed" && video.error
          ? { class: video.error.retryable ? "resource" : "input", ...strip(video.error) }
          : null,
    };
    this.jobs.set(job.id, job);
    this.order.jobs = null;
    return job;
  }

  /** Every video in order of its name or age; kept, since a list of thousands is asked for page by page. */
  videosBy(field: "created_at" | "filename" | "duration"): Video[] {
    if (field === "duration") {
      const length = ({ duration_frames: frames, frame_rate: rate }: Video) =>
        frames && rate ? (frames * rate.den) / rate.num : 0;
      return [...this.videos.values()].sort((a, b) => length(a) - length(b) || compare(a.id, b.id));
    }
    if (field === "filename")
      return [...this.videos.values()].sort((a, b) => compare(a.filename, b.filename));
    this.order.videos ??= [...this.videos.values()].sort((a, b) => compare(a.created_at, b.created_at));
    return this.order.videos;
  }

  jobsByAge(): Job[] {
    this.order.jobs ??= [...this.jobs.values()].sort(
      (a, b) => compare(b.created_at, a.created_at) || compare(a.id, b.id),
    );
    return this.order.jobs;
  }

  addClip(video: Video, wish: ClipWish): Clip {
    const rate = video.frame_rate ?? { num: 25, den: 1 };
    const clip: Clip = {
      id: uuid(++this.serial),
      video_id: video.id,
      name: wish.name,
      mode: wish.mode ?? "smart",
      status: "virtual",
      progress_permille: 0,
      in_frame: wish.in_frame,
      out_frame: wish.out_frame,
      in: timecodeAt(wish.in_frame, rate, video.start_timecode),
      out: timecodeAt(wish.out_frame, rate, video.start_timecode),
      duration_frames: wish.out_frame - wish.in_frame,
      hls_url: null,
      size_bytes: null,
      created_at: new Date().toISOString(),
      error: null,
    };
    this.setClip(clip);
    if (wish.render) this.renderClip(clip.id);
    return clip;
  }

  setClip(clip: Clip) {
    this.clips.set(clip.id, clip);
    this.tell("clip", clip);
    this.retellVideo(clip.video_id);
  }

  renderClip(id: string) {
    const step = (part: Partial<Clip>) => {
      const clip = this.clips.get(id);
      if (clip) this.setClip({ ...clip, ...part });
    };
    step({ status: "queued", error: null });
    setTimeout(() => step({ status: "rendering", progress_permille: 430 }), 700).unref();
    setTimeout(() => {
      const frames = this.clips.get(id)?.duration_frames ?? 0;
      step({ status: "ready", progress_permille: 1000, size_bytes: 40_000 + frames * 21_337 });
    }, 2200).unref();
  }

  removeClip(id: string): boolean {
    const clip = this.clips.get(id);
    if (!clip) return false;
    this.clips.delete(id);
    this.tell("clip_deleted", { id, video_id: clip.video_id });
    this.retellVideo(clip.video_id);
    return true;
  }

  /** The subclips in the order that a person wants. */
  arrange(video: string, clips: readonly string[]) {
    this.arranged.set(video, clips);
    this.retellVideo(video);
  }

  private retellVideo(id: string) {
    const order = this.arranged.get(id) ?? [];
    const rank = (clip: Clip) => (order.includes(clip.id) ? order.indexOf(clip.id) : order.length);
    const clips = [...this.clips.values()]
      .filter(({ video_id }) => video_id === id)
      .sort((a, b) => rank(a) - rank(b) || a.in_frame - b.in_frame || compare(a.id, b.id));
    this.change(id, { clips });
  }

  removeNode(name: string) {
    const at = this.nodes.findIndex((node) => node.name === name);
    if (at >= 0) this.nodes.splice(at, 1);
  }

  changeNode(name: string, part: Partial<Node>): boolean {
    const at = this.nodes.findIndex((node) => node.name === name);
    const old = this.nodes[at];
    if (!old) return false;
    this.nodes[at] = { ...old, ...part };
    this.tell("node", this.nodes[at]);
    return true;
  }

  change(id: string, part: Partial<Video>) {
    const old = this.videos.get(id);
    if (!old) return;
    const video = { ...old, ...part };
    this.videos.set(id, video);
    this.order.videos = null;
    this.tell("video", video);
  }

  changeJob(id: string, part: Partial<Job>) {
    const old = this.jobs.get(id);
    if (!old) return;
    const job = { ...old, ...part };
    this.jobs.set(id, job);
    this.order.jobs = null;
    this.tell("job", job);
  }

  remove(id: string): boolean {
    if (!this.videos.delete(id)) return false;
    this.order = { videos: null, jobs: null };
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
    this.order.videos = null;
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

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function seededNodes(): Node[] {
  const node = (number: number, part: Partial<Node>): Node => ({
    id: 9990 + number,
    member: part.role === "worker" ? "learner" : "voter",
    address: `10.0.0.${number}:7443`,
    draining: false,
    sole_originals: null,
    name: `studio-${number}`,
    site: "studio",
    role: "voter",
    leader: false,
    version: "0.1.0",
    state: "up",
    seen_at: new Date().toISOString(),
    lag: 0,
    slots: 2,
    slots_busy: 0,
    cpu_cores: 16,
    cpu_permille: 310,
    memory_total_bytes: 64e9,
    memory_used_bytes: 21e9,
    disk_total_bytes: 4e12,
    disk_free_bytes: 2.6e12,
    encoders: ["x264enc"],
    sandbox: "full",
    watches: null,
    ...part,
  });
  return [
    node(1, { leader: true, slots_busy: 2, cpu_permille: 870 }),
    node(2, { slots_busy: 1, disk_free_bytes: 0.14e12 }),
    node(3, {
      name: "stage-1",
      site: "stage",
      state: "away",
      seen_at: new Date(Date.now() - 41 * 60_000).toISOString(),
      cpu_permille: null,
      memory_used_bytes: null,
    }),
    node(4, { name: "laptop-ruth", site: "home", role: "worker", cpu_cores: 8, lag: 4, slots: 1 }),
  ];
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
