// One video in the list.

import type { Video } from "../api/types";
import { Poster } from "../components/Poster";
import { VideoChip } from "../components/StateChip";
import { facts, lengthOf, preload } from "../components/VideoCard";
import { ago, bytes } from "../lib/format";
import { Link } from "../lib/router";

export function VideoRow({ video, nowMs, tabIndex }: { video: Video; nowMs: number; tabIndex: number }) {
  return (
    <Link
      className="row"
      to={`/videos/${video.id}`}
      tabIndex={tabIndex}
      onPointerEnter={preload}
      onFocus={preload}
    >
      <span className="row-picture">
        <Poster video={video} sizes="80px" />
      </span>
      <span className="row-name">
        <span className="row-title">{video.filename}</span>
        {video.status === "failed" && video.error && (
          <span className="card-error">{video.error.message}</span>
        )}
      </span>
      <VideoChip video={video} />
      <span className="row-length numeric">{lengthOf(video)}</span>
      <span className="row-format numeric">{video.width === null ? "" : facts(video)}</span>
      <span className="row-size numeric">{bytes(video.size_bytes)}</span>
      <time className="row-added" dateTime={video.created_at}>
        {ago(video.created_at, nowMs)}
      </time>
    </Link>
  );
}

export function RowSkeleton() {
  return (
    <div className="row row-skeleton" aria-hidden="true">
      <span className="row-picture" />
      <span className="row-name" />
    </div>
  );
}
