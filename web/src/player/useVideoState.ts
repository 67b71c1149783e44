// What the video element is doing, in frames.

import { useEffect, useState, type RefObject } from "react";
import type { FrameRate } from "../api/types";
import { frameAt, microseconds } from "./timecode";

export interface VideoState {
  frame: number;
  playable: number;
  buffered: readonly (readonly [number, number])[];
  paused: boolean;
  started: boolean;
  waiting: boolean;
  muted: boolean;
  volume: number;
  show: (frame: number) => void;
}

/** What the video element is doing, in frames. `accept` may hold back the number of a picture that will not stay. */
export function useVideoState(
  video: RefObject<HTMLVideoElement | null>,
  rate: FrameRate,
  frames: number,
  accept: RefObject<(frame: number) => boolean>,
): VideoState {
  const [frame, setFrame] = useState(0);
  const [buffered, setBuffered] = useState<readonly (readonly [number, number])[]>([]);
  const [playable, setPlayable] = useState(frames);
  const [flags, setFlags] = useState({
    paused: true,
    started: false,
    waiting: false,
    muted: false,
    volume: 100,
  });

  useEffect(() => {
    const element = video.current;
    if (!element) return;
    const at = (seconds: number) => frameAt(microseconds(seconds), rate, frames);
    const readFlags = () =>
      setFlags((old) => ({
        paused: element.paused,
        started: old.started || element.played.length > 0 || element.currentTime > 0,
        waiting:
          element.seeking ||
          (!element.paused && element.readyState < HTMLMediaElement.HAVE_FUTURE_DATA && !element.ended),
        muted: element.muted,
        volume: Math.round(element.volume * 100),
      }));
    const readRanges = () => {
      const ranges: [number, number][] = [];
      for (let index = 0; index < element.buffered.length; index += 1) {
        ranges.push([at(element.buffered.start(index)), at(element.buffered.end(index))]);
      }
      setBuffered(ranges);
      // Until the end of an open playlist is known, only what it lists can be played.
      const end =
        Number.isFinite(element.duration) && element.duration > 0 ? at(element.duration) + 1 : frames;
      setPlayable(Math.min(frames, Math.max(1, end)));
    };
    const readTime = () => {
      if (!element.seeking) setFrame(element.ended ? frames - 1 : at(element.currentTime));
    };
    // Once a frame is on screen the browser says which; where it does not, the clock has to do.
    let callback = 0;
    const onFrame = (_now: number, metadata: VideoFrameCallbackMetadata) => {
      const shown = at(metadata.mediaTime);
      if (!element.seeking && accept.current(shown)) setFrame(shown);
      callback = element.requestVideoFrameCallback(onFrame);
    };
    const byFrame = "requestVideoFrameCallback" in element;
    if (byFrame) callback = element.requestVideoFrameCallback(onFrame);
    const all = () => {
      readFlags();
      readRanges();
    };
    const ended = () => {
      all();
      readTime();
    };
    const events: [string, () => void][] = [
      ["play", readFlags],
      ["playing", readFlags],
      ["pause", ended],
      ["ended", ended],
      ["waiting", readFlags],
      ["seeking", readFlags],
      ["seeked", ended],
      ["canplay", readFlags],
      ["volumechange", readFlags],
      ["durationchange", readRanges],
      ["progress", readRanges],
      ["timeupdate", byFrame ? readRanges : ended],
    ];
    for (const [name, listener] of events) element.addEventListener(name, listener);
    return () => {
      if (byFrame) element.cancelVideoFrameCallback(callback);
      for (const [name, listener] of events) element.removeEventListener(name, listener);
    };
  }, [video, rate, frames, accept]);

  return { frame, buffered, playable, ...flags, show: setFrame };
}
