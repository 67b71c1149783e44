// One video in the grid.

import { lazy, Suspense, useState, type PointerEvent } from "react";
import type { Video } from "../api/types";
import { ago, bytes, clock, codec, durationSeconds, frameRate } from "../lib/format";
import { Link } from "../lib/router";
import { loadVideoPage } from "../pages/load";
import { LIBRARY } from "../strings/library";
import { STATUS_WORDS } from "../strings/states";
import { Poster } from "./Poster";
import { ProgressBar } from "./ProgressBar";
import { VideoChip } from "./StateChip";

interface VideoCardProps {
  video: Video;
  nowMs: number;
  eager: boolean;
  tabIndex: number;
}

const Scrub = lazy(() => import("../library/Scrub"));

/** A telephone is told a little less than there is: the next size would be twice as large for a handful of pixels. */
const SIZES = "(max-width: 560px) calc(92vw - 32px), (max-width: 1000px) 45vw, 320px";

export function VideoCard({ video, nowMs, eager, tabIndex }: VideoCardProps) {
  // Looking through a video by moving over its picture; a finger scrolls instead, and some want nothing to move.
  const [looking, setLooking] = useState<number | null>(null);
  const look = (event: PointerEvent<HTMLElement>) => {
    if (event.pointerType !== "mouse" || !video.sprites_url) return;
    const { left, width } = event.currentTarget.getBoundingClientRect();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches || width === 0) return;
    setLooking(Math.max(0, Math.min(1, (event.clientX - left) / width)));
  };
  const busy = video.status === "uploading" || video.status === "rendering";
  return (
    <Link
      className="card"
      to={`/videos/${video.id}`}
      tabIndex={tabIndex}
      onPointerEnter={preload}
      onFocus={preload}
    >
      <span className="card-picture" onPointerMove={look} onPointerLeave={() => setLooking(null)}>
        <Poster video={video} sizes={SIZES} eager={eager} />
        {looking !== null && video.sprites_url && (
          <Suspense fallback={null}>
            <Scrub url={video.sprites_url} at={looking} />
          </Suspense>
        )}
        {video.status === "ready" ? (
          <span className="sr-only">{STATUS_WORDS.ready}</span>
        ) : (
          <VideoChip video={video} />
        )}
        {video.duration_frames !== null && <span className="badge numeric">{lengthOf(video)}</span>}
        {busy && <ProgressBar permille={video.progress_permille} label={LIBRARY.progress} />}
      </span>
      <span className="card-name" title={video.filename}>
        {video.filename}
      </span>
      <span className="card-facts">
        {video.status === "failed" && video.error ? (
          <span className="card-error">{video.error.message}</span>
        ) : (
          <span>{facts(video)}</span>
        )}
        <time dateTime={video.created_at}>{ago(video.created_at, nowMs)}</time>
      </span>
    </Link>
  );
}

export function lengthOf({ duration_frames, frame_rate }: Video): string {
  return duration_frames === null || frame_rate === null
    ? ""
    : clock(durationSeconds(duration_frames, frame_rate));
}

/** A card of the same size that says nothing yet. */
export function CardSkeleton() {
  return (
    <div className="card card-skeleton" aria-hidden="true">
      <span className="card-picture" />
      <span className="card-name" />
      <span className="card-facts" />
    </div>
  );
}

export function preload() {
  void loadVideoPage().catch(() => undefined);
}

export function facts(video: Video): string {
  if (video.width === null || video.height === null) return bytes(video.size_bytes);
  const parts = [`${video.width}×${video.height}`];
  if (video.frame_rate) parts.push(`${frameRate(video.frame_rate)} fps`);
  if (video.video_codec) parts.push(codec(video.video_codec));
  return parts.join(" · ");
}
