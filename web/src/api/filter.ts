// Pure: which videos a list asks for, and whether a video is one of them.

import type { FrameRate, Video, VideoStatus } from "./types";

export const VIDEO_SORTS = [
  "-created_at",
  "created_at",
  "filename",
  "-filename",
  "duration",
  "-duration",
] as const;
export type VideoSort = (typeof VIDEO_SORTS)[number];
export const VIDEO_STATUSES: readonly VideoStatus[] = [
  "uploading",
  "probing",
  "rendering",
  "ready",
  "failed",
];

export interface VideoFilter {
  status: VideoStatus | null;
  q: string;
  sort: VideoSort;
  /** A video has all of them, in upper or lower case. */
  tags: readonly string[];
  /** Id of a bin. */
  bin: string | null;
  /** Such as `25` or `30000/1001`. */
  rate: string | null;
  site: string | null;
  /** First and last day on which it was added, `2026-11-24`, by the viewer's clock. */
  from: string | null;
  to: string | null;
}

export const EVERYTHING: VideoFilter = {
  status: null,
  q: "",
  sort: "-created_at",
  tags: [],
  bin: null,
  rate: null,
  site: null,
  from: null,
  to: null,
};

export function rateText({ num, den }: FrameRate): string {
  return den === 1 ? String(num) : `${num}/${den}`;
}

/** The moment a day begins here, or the one after it does. */
export function dayStart(day: string, after = 0): Date | null {
  const [year, month, date] = day.split("-").map(Number);
  const start = new Date(year ?? NaN, (month ?? NaN) - 1, (date ?? NaN) + after);
  return Number.isNaN(start.getTime()) ? null : start;
}

/** What a request asks for. */
export function parametersOf(filter: VideoFilter) {
  const { tags, from, to, ...rest } = filter;
  return {
    ...rest,
    tags: tags.join(","),
    from: from && dayStart(from)?.toISOString(),
    to: to && dayStart(to, 1)?.toISOString(),
  };
}

export function belongs(video: Video, filter: VideoFilter): boolean {
  const { status, q, tags = [], bin, rate, site, from, to } = filter;
  const folded = (video.tags ?? []).map((tag) => tag.toLowerCase());
  const created = Date.parse(video.created_at);
  const start = from ? dayStart(from)?.getTime() : undefined;
  const end = to ? dayStart(to, 1)?.getTime() : undefined;
  return (
    (!status || status === video.status) &&
    (!q || video.filename.toLowerCase().includes(q.toLowerCase())) &&
    tags.every((tag) => folded.includes(tag.toLowerCase())) &&
    (!bin || (video.bins ?? []).includes(bin)) &&
    (!rate || (video.frame_rate !== null && rateText(video.frame_rate) === rate)) &&
    (!site || (video.copies ?? []).some((copy) => copy.site === site)) &&
    (start === undefined || created >= start) &&
    (end === undefined || created < end)
  );
}
