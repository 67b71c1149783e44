// The small pictures of a video under the pointer: where it points is when it looks.

import { useEffect, useState } from "react";
import { useQuery } from "@tanstack/react-query";
import { cellAt, fetchSprites, type Sprites } from "../api/sprites";

interface ScrubProps {
  url: string;
  /** Where the pointer is, 0 to 1 from left to right. */
  at: number;
}

export default function Scrub({ url, at }: ScrubProps) {
  const { data } = useQuery({
    queryKey: ["sprites", url],
    queryFn: ({ signal }) => fetchSprites(url, signal),
    staleTime: Infinity,
    gcTime: 60_000,
    retry: false,
  });
  return data ? <Cell sprites={data} at={at} /> : null;
}

function Cell({ sprites, at }: { sprites: Sprites; at: number }) {
  const cell = cellAt(sprites, at);
  const sheet = cell && sprites.sheets[cell.sheet];
  const [ready, setReady] = useState<string | null>(null);
  useEffect(() => {
    if (!sheet) return;
    const image = new Image();
    let stopped = false;
    image.onload = () => !stopped && setReady(sheet.url);
    image.src = sheet.url;
    return () => {
      stopped = true;
    };
  }, [sheet]);
  // The picture that is there stays until the sheet is.
  if (!cell || !sheet || ready !== sheet.url) return null;
  const { width, height } = sprites;
  return (
    <span className="scrub" aria-hidden="true">
      <svg viewBox={`${cell.x} ${cell.y} ${width} ${height}`}>
        <image href={sheet.url} width={sheet.width} height={sheet.height} />
      </svg>
      <span className="scrub-at" style={{ left: `${at * 100}%` }} />
    </span>
  );
}
