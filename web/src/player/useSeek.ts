// Seeks that end on the very frame that was asked for.

import { useCallback, useEffect, useRef, type RefObject } from "react";
import type { FrameRate } from "../api/types";
import { middleOf } from "./timecode";

/** How often a picture that is not the wanted one is asked for again, and how long after; each wait is longer. */
const TRIES = 8;
const WAIT_MS = 80;

export interface Seeker {
  seek: (frame: number) => void;
  /** The frame that steps count from: the one that was asked for, until playing goes on from it. */
  wanted: () => number | null;
  /** Whether this picture, which has just come on screen, is one to show the number of. */
  accept: (frame: number) => boolean;
}

/**
 * Seeks come faster than they are served while a key or the handle is held: the last one counts.
 *
 * A browser may come to rest on another picture than the one that was asked for, and stay there: seen where the data
 * behind it was still missing or uneven. So what comes on screen is compared with what was asked for, and asked for
 * again a few times; if it stays, the number of what is really on screen is shown.
 */
export function useSeek(
  video: RefObject<HTMLVideoElement | null>,
  rate: FrameRate,
  frames: number,
  show: (frame: number) => void,
): Seeker {
  const next = useRef<number | null>(null);
  const aim = useRef<number | null>(null);
  const tries = useRef(0);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);

  const go = useCallback(
    (frame: number) => {
      if (video.current) video.current.currentTime = middleOf(frame, rate) / 1_000_000;
    },
    [video, rate],
  );
  const seek = useCallback(
    (target: number) => {
      const element = video.current;
      if (!element) return;
      const to = Math.max(0, Math.min(target, frames - 1));
      aim.current = element.paused ? to : null;
      tries.current = 0;
      show(to);
      // Between the end of a seek and its event, an older wish may still wait: this one takes its place.
      next.current = element.seeking ? to : null;
      if (!element.seeking) go(to);
    },
    [video, frames, show, go],
  );
  const accept = useCallback(
    (frame: number) => {
      const element = video.current;
      const to = aim.current;
      if (!element?.paused || to === null || to === frame || tries.current >= TRIES) return true;
      tries.current += 1;
      clearTimeout(timer.current);
      timer.current = setTimeout(() => {
        if (element.paused && !element.seeking && aim.current === to) go(to);
      }, WAIT_MS * tries.current);
      return false;
    },
    [video, go],
  );

  useEffect(() => {
    const element = video.current;
    if (!element) return;
    const seeked = () => {
      const to = next.current;
      next.current = null;
      if (to === null) return;
      // The seek before has just shown its own frame; the next step counts from the one that is wanted.
      show(to);
      go(to);
    };
    const played = () => {
      aim.current = null;
    };
    element.addEventListener("seeked", seeked);
    element.addEventListener("play", played);
    return () => {
      clearTimeout(timer.current);
      element.removeEventListener("seeked", seeked);
      element.removeEventListener("play", played);
    };
  }, [video, show, go]);

  return { seek, accept, wanted: useCallback(() => aim.current ?? next.current, []) };
}
