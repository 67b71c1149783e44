// Runs the shuttle on a video element: forward by the playback rate, backward by seeking as fast as the decoder follows.

import { useCallback, useEffect, useRef, useState, type RefObject } from "react";
import { shuttle, STILL, type ShuttleEvent } from "./shuttle";

/** Starting may be refused by the browser until there was a gesture; then it stays paused, which is right. */
export async function play(element: HTMLVideoElement) {
  await element.play().catch(() => undefined);
}

export function useShuttle(video: RefObject<HTMLVideoElement | null>) {
  const [state, setState] = useState(STILL);
  const now = useRef(STILL);
  const { speed } = state;

  const handle = useCallback(
    (event: ShuttleEvent) => {
      const element = video.current;
      const before = now.current;
      const next = shuttle(before, event);
      now.current = next;
      setState(next);
      if (!element || (next.speed === before.speed && event.kind !== "stop")) return;
      if (next.speed > 0) {
        element.playbackRate = next.speed;
        void play(element);
      } else {
        element.pause();
        if (next.speed === 0) element.playbackRate = element.defaultPlaybackRate;
      }
    },
    [video],
  );
  /** Ends a shuttle and leaves the picture as it is. */
  const stop = useCallback(() => {
    now.current = { ...now.current, speed: 0 };
    setState(now.current);
    const element = video.current;
    if (element) element.playbackRate = element.defaultPlaybackRate;
  }, [video]);

  useEffect(() => {
    const element = video.current;
    if (!element || speed >= 0) return;
    let last = performance.now();
    let request = requestAnimationFrame(function back(time) {
      if (!element.seeking) {
        element.currentTime = Math.max(0, element.currentTime + ((time - last) * speed) / 1000);
        last = time;
        if (element.currentTime === 0) return stop();
      }
      request = requestAnimationFrame(back);
    });
    return () => cancelAnimationFrame(request);
  }, [video, speed, stop]);

  useEffect(() => {
    const element = video.current;
    element?.addEventListener("ended", stop);
    return () => element?.removeEventListener("ended", stop);
  }, [video, stop]);

  return { speed, handle, stop };
}
