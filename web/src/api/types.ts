// JSON bodies of the HTTP API, `/api/v1`, as `protocol/src/http` defines them.
//
// Written by hand until they are generated from the API's description; the rest of the client imports
// them from here, so that only this file changes then.

export type VideoStatus = "uploading" | "probing" | "rendering" | "ready" | "failed";
export type JobState = "waiting" | "running" | "done" | "failed" | "cancelled";

/** Frames per second as a fraction in lowest terms; never zero. */
export interface FrameRate {
  num: number;
  den: number;
}

export interface Page<T> {
  items: T[];
  /** `cursor` of the next page; `null` on the last. */
  next_cursor: string | null;
  /** How many items match, on all pages together. */
  total: number;
}

export interface Thumbnail {
  size: "320w" | "640w" | "1280w";
  url: string;
  width: number;
  height: number;
}

export interface AudioTrack {
  codec: string;
  channels: number;
  sample_rate: number;
  language: string | null;
}

export interface Rendition {
  name: string;
  resolution: { width: number; height: number };
  video_kbps: number;
}

/** How a subclip is cut when it is rendered. */
export type ClipMode = "smart" | "instant" | "encode";
export type ClipStatus = "virtual" | "queued" | "rendering" | "ready" | "failed";

export interface Clip {
  id: string;
  video_id: string;
  name: string;
  mode: ClipMode;
  status: ClipStatus;
  in_frame: number;
  /** The first frame after the subclip. */
  out_frame: number;
  /** The same as source timecodes. */
  in: string;
  out: string;
  duration_frames: number;
  hls_url: string | null;
  size_bytes: number | null;
  created_at: string;
  error: { code: string; message: string } | null;
}

export const EXPORT_FORMATS = ["edl", "fcpxml", "fcp7xml", "otio", "csv"] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

export interface VideoError {
  code: string;
  message: string;
  detail: string;
  retryable: boolean;
}

export interface Video {
  id: string;
  filename: string;
  size_bytes: number;
  blake3: string | null;
  status: VideoStatus;
  progress_permille: number;
  created_at: string;
  duration_frames: number | null;
  frame_rate: FrameRate | null;
  start_timecode: string | null;
  width: number | null;
  height: number | null;
  video_codec: string | null;
  container: string | null;
  audio_tracks: AudioTrack[];
  renditions: Rendition[];
  hls_url: string | null;
  thumbnails: Thumbnail[];
  generation: string | null;
  clips: Clip[];
  remarks: string[];
  error: VideoError | null;
}

export interface Failure {
  class: "input" | "crashed" | "resource" | "verification" | "cancelled" | "internal";
  code: string;
  message: string;
  detail: string;
}

export interface Job {
  id: string;
  video: string;
  filename: string;
  /** `probe`, `piece-0000`, `audio` or `stills`. */
  kind: string;
  state: JobState;
  node: string | null;
  attempts: number;
  max_attempts: number;
  progress_permille: number;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  /** Whole sentences, one a reason; empty unless the job waits. */
  waiting_because: string[];
  failure: Failure | null;
}

export interface Node {
  id: string;
  name: string;
  site: string;
  /** `voter`, `learner` or `worker`. */
  role: string;
  leader: boolean;
  version: string;
  /** `up` or `away`. */
  state: string;
  seen_at: string | null;
  /** Log entries that this node has yet to apply. */
  lag: number;
  slots: number;
  slots_busy: number;
  cpu_cores: number;
  cpu_permille: number | null;
  memory_total_bytes: number | null;
  memory_used_bytes: number | null;
  disk_total_bytes: number | null;
  disk_free_bytes: number | null;
  encoders: string[];
  /** `full`, or what is missing. */
  sandbox: string;
}

/** `application/problem+json` (RFC 9457). */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
}

/** What each server-sent event carries as data, by the name of the event. */
export interface EventData {
  video: Video;
  video_deleted: { id: string };
  clip: Clip;
  clip_deleted: { id: string; video_id?: string };
  job: Job;
  node: Node;
  reset: Record<string, never>;
}
