// The still of a video in the size that the layout needs, or a quiet stand-in until there is one.

import type { Video } from "../api/types";
import { Icon } from "../ui/Icon";

interface PosterProps {
  video: Video;
  sizes: string;
  /** The first ones on screen: fetched at once and before others. */
  eager?: boolean;
}

export function Poster({ video, sizes, eager = false }: PosterProps) {
  const largest = video.thumbnails.at(-1);
  if (!largest) {
    return (
      <span className="poster-empty">
        <Icon name={video.status === "failed" ? "alert" : "film"} />
      </span>
    );
  }
  return (
    <img
      className="poster"
      // Every browser that plays the video shows WebP, which is smaller than JPEG.
      src={(video.thumbnails[0] ?? largest).webp_url}
      srcSet={video.thumbnails.map(({ webp_url, width }) => `${webp_url} ${width}w`).join(", ")}
      sizes={sizes}
      width={largest.width}
      height={largest.height}
      alt=""
      loading={eager ? "eager" : "lazy"}
      fetchPriority={eager ? "high" : "auto"}
      decoding="async"
    />
  );
}
