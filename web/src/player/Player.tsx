// The player: a video element with controls of our own that count in frames.

import { useCallback, useEffect, useRef, useState } from "react";
import type { FrameRate, Rendition } from "../api/types";
import { clock, durationSeconds, grouped } from "../lib/format";
import { Dialog } from "../ui/Dialog";
import { Icon } from "../ui/Icon";
import { Menu } from "../ui/Menu";
import { actionFor, KEYS, shuttled, type Action } from "./keys";
import { SeekBar } from "./SeekBar";
import { frameAt, framesPerSecond, microseconds, middleOf, timecodeAt } from "./timecode";
import { useHls } from "./useHls";

interface PlayerProps {
  url: string;
  title: string;
  frames: number;
  rate: FrameRate;
  startTimecode: string | null;
  width: number;
  height: number;
  poster: string | null;
  hasAudio: boolean;
  renditions: readonly Rendition[];
}

const SPEEDS = [0.25, 0.5, 1, 1.5, 2, 4] as const;

export function Player(props: PlayerProps) {
  const { url, title, frames, rate, startTimecode, width, height, poster, hasAudio, renditions } = props;
  const root = useRef<HTMLDivElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const stream = useHls(video, url, renditions);
  const state = useVideoState(video, rate, frames);
  const [help, setHelp] = useState(false);
  const [speed, setSpeed] = useState(1);
  const shuttle = useShuttle(video);
  const fullscreen = useFullscreen(root);
  const idle = useIdle(root, fullscreen.on && !state.paused);
  const { frame, playable } = state;

  // Seeks come faster than they are served while the handle is dragged: the last one counts.
  const wanted = useRef<number | null>(null);
  const seek = useCallback(
    (target: number) => {
      const element = video.current;
      if (!element) return;
      const to = Math.max(0, Math.min(target, frames - 1));
      state.show(to);
      if (element.seeking) wanted.current = to;
      else element.currentTime = middleOf(to, rate) / 1_000_000;
    },
    [frames, rate, state.show],
  );
  useEffect(() => {
    const element = video.current;
    const next = () => {
      const to = wanted.current;
      wanted.current = null;
      if (to !== null && element) element.currentTime = middleOf(to, rate) / 1_000_000;
    };
    element?.addEventListener("seeked", next);
    return () => element?.removeEventListener("seeked", next);
  }, [rate]);

  const heldPlaying = useRef(false);
  const hold = (held: boolean) => {
    const element = video.current;
    if (!element) return;
    if (held) {
      heldPlaying.current = !element.paused;
      element.pause();
    } else if (heldPlaying.current) {
      void play(element);
    }
  };

  const toggle = useCallback(() => {
    const element = video.current;
    if (!element) return;
    const shuttling = shuttle.speed !== 0;
    shuttle.stop();
    if (shuttling || !element.paused) element.pause();
    else {
      if (element.ended) element.currentTime = 0;
      void play(element);
    }
  }, [shuttle]);

  const setVolume = (percent: number) => {
    const element = video.current;
    if (!element) return;
    element.volume = Math.max(0, Math.min(100, percent)) / 100;
    element.muted = percent <= 0;
  };

  const act = (action: Action) => {
    const element = video.current;
    if (!element) return;
    switch (action.kind) {
      case "toggle":
      case "stop":
        return toggle();
      case "shuttle":
        return shuttle.go(shuttled(shuttle.speed || (element.paused ? 0 : 1), action.direction));
      case "frames":
        shuttle.stop();
        element.pause();
        return seek((wanted.current ?? frame) + action.by);
      case "seconds":
        return seek((wanted.current ?? frame) + action.by * framesPerSecond(rate));
      case "edge":
        return seek(action.end ? playable - 1 : 0);
      case "tenth":
        return seek(Math.floor((frames * action.of) / 10));
      case "fullscreen":
        return fullscreen.toggle();
      case "mute":
        element.muted = !element.muted;
        return;
      case "volume":
        return setVolume(Math.round(element.volume * 100) + action.by);
      case "help":
        return setHelp((open) => !open);
    }
  };
  useKeys(act);

  const label = (at: number) => timecodeAt(at, rate, startTimecode);
  const levelName = (index: number | null) => stream.levels.find((level) => level.index === index)?.name;
  const activeName = levelName(stream.active);

  return (
    <div
      ref={root}
      className={`player surround ${fullscreen.on ? "player-full" : ""} ${idle ? "player-idle" : ""}`}
      data-quality={activeName}
      role="region"
      aria-label={`Player, ${title}`}
    >
      <div className="player-stage" style={{ "--ratio": `${width} / ${height}` } as React.CSSProperties}>
        <video
          ref={video}
          playsInline
          preload="auto"
          poster={poster ?? undefined}
          aria-label={title}
          onClick={toggle}
          onDoubleClick={fullscreen.toggle}
        />
        {state.paused && !state.started && !stream.problem && (
          <button className="player-start" type="button" onClick={toggle} aria-label="Play">
            <Icon name="play" />
          </button>
        )}
        {state.waiting && !stream.problem && (
          <span className="player-waiting" role="status" aria-label="Buffering" />
        )}
        {shuttle.speed !== 0 && (
          <span className="player-shuttle numeric" role="status">
            {shuttle.speed < 0 ? "−" : ""}
            {Math.abs(shuttle.speed)}×
          </span>
        )}
        {stream.problem && (
          <div className="player-problem" role="alert">
            <Icon name="alert" />
            <p>{stream.problem}</p>
            <button className="button" type="button" onClick={stream.again}>
              <Icon name="retry" />
              Try again
            </button>
          </div>
        )}
      </div>
      <div className="player-controls">
        <SeekBar
          frame={frame}
          frames={frames}
          playable={playable}
          buffered={state.buffered}
          label={label}
          onSeek={seek}
          onHold={hold}
        />
        <div className="player-row">
          <div className="player-group">
            <button
              className="control control-play"
              type="button"
              onClick={toggle}
              aria-label={state.paused ? "Play" : "Pause"}
            >
              <Icon name={state.paused && shuttle.speed === 0 ? "play" : "pause"} />
            </button>
            <button
              className="control control-frame"
              type="button"
              onClick={() => act({ kind: "frames", by: -1 })}
              aria-label="One frame back"
              title="One frame back (,)"
            >
              <Icon name="frameBack" />
            </button>
            <button
              className="control control-frame"
              type="button"
              onClick={() => act({ kind: "frames", by: 1 })}
              aria-label="One frame on"
              title="One frame on (.)"
            >
              <Icon name="frameForward" />
            </button>
          </div>
          <div className="player-time numeric">
            <span className="player-timecode" title="Source timecode" data-testid="timecode">
              {label(frame)}
            </span>
            <span className="player-frames hint">
              <span>
                frame {grouped(frame)} of {grouped(frames)}
              </span>
              <span>
                {clock(durationSecondsAt(frame, rate))} / {clock(durationSeconds(frames, rate))}
              </span>
            </span>
          </div>
          <div className="player-group player-group-end">
            {hasAudio && (
              <div className="volume">
                <button
                  className="control"
                  type="button"
                  onClick={() => act({ kind: "mute" })}
                  aria-label={state.muted ? "Sound on" : "Mute"}
                  title={state.muted ? "Sound on (M)" : "Mute (M)"}
                >
                  <Icon name={state.muted ? "muted" : "volume"} />
                </button>
                <input
                  type="range"
                  min={0}
                  max={100}
                  value={state.muted ? 0 : state.volume}
                  aria-label="Volume"
                  style={{ "--value": `${state.muted ? 0 : state.volume}%` } as React.CSSProperties}
                  onChange={(event) => setVolume(Number(event.target.value))}
                />
              </div>
            )}
            <Menu
              icon="speed"
              label="Speed"
              value={`${speed}×`}
              chosen={speed}
              options={SPEEDS.map((value) => ({ value, name: `${value}×` }))}
              onChoose={(value) => {
                setSpeed(value);
                shuttle.stop();
                if (video.current) video.current.playbackRate = video.current.defaultPlaybackRate = value;
              }}
            />
            {stream.levels.length > 0 && (
              <Menu
                icon="gear"
                label="Quality"
                value={stream.chosen === null ? "Auto" : (levelName(stream.chosen) ?? "Auto")}
                chosen={stream.chosen}
                options={[
                  {
                    value: null,
                    name: "Auto",
                    ...(stream.chosen === null && activeName ? { note: activeName } : {}),
                  },
                  ...[...stream.levels]
                    .sort((a, b) => b.height - a.height)
                    .map(({ index, name }) => ({ value: index as number | null, name })),
                ]}
                onChoose={stream.choose}
              />
            )}
            <button
              className="control control-help"
              type="button"
              onClick={() => setHelp(true)}
              aria-label="Keys"
              title="Keys (?)"
            >
              <Icon name="keyboard" />
            </button>
            <button
              className="control"
              type="button"
              onClick={fullscreen.toggle}
              aria-label={fullscreen.on ? "Leave full screen" : "Full screen"}
              title={fullscreen.on ? "Leave full screen (F)" : "Full screen (F)"}
            >
              <Icon name={fullscreen.on ? "fullscreenExit" : "fullscreen"} />
            </button>
          </div>
        </div>
      </div>
      {help && <KeySheet onClose={() => setHelp(false)} />}
    </div>
  );
}

function KeySheet({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keys" onClose={onClose}>
      <dl className="keys">
        {KEYS.map(([keys, what]) => (
          <div key={keys.join()}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <div className="dialog-actions">
        <button className="button" type="button" onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  );
}

/** Whole seconds that have passed at the start of a frame. */
function durationSecondsAt(frame: number, rate: FrameRate): number {
  return frame === 0 ? 0 : Number((BigInt(frame) * BigInt(rate.den)) / BigInt(rate.num));
}

/** Starting may be refused by the browser until there was a gesture; then it stays paused, which is right. */
async function play(element: HTMLVideoElement) {
  await element.play().catch(() => undefined);
}

interface VideoState {
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

/** What the video element is doing, in frames. */
function useVideoState(
  video: React.RefObject<HTMLVideoElement | null>,
  rate: FrameRate,
  frames: number,
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
      if (!element.seeking) setFrame(at(metadata.mediaTime));
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
  }, [video, rate, frames]);

  return { frame, buffered, playable, ...flags, show: setFrame };
}

/** J, K, L: forward by the playback rate, backward by seeking as fast as the decoder follows. */
function useShuttle(video: React.RefObject<HTMLVideoElement | null>) {
  const [speed, setSpeed] = useState(0);
  const go = useCallback(
    (next: number) => {
      const element = video.current;
      if (!element) return;
      setSpeed(next);
      if (next > 0) {
        element.playbackRate = next;
        void play(element);
      } else {
        element.pause();
      }
    },
    [video],
  );
  const stop = useCallback(() => {
    setSpeed(0);
    const element = video.current;
    if (element) element.playbackRate = element.defaultPlaybackRate;
  }, [video]);

  useEffect(() => {
    const element = video.current;
    if (!element || speed >= 0) return;
    let last = performance.now();
    let request = requestAnimationFrame(function back(now) {
      if (!element.seeking) {
        element.currentTime = Math.max(0, element.currentTime + ((now - last) * speed) / 1000);
        last = now;
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

  return { speed, go, stop };
}

function useFullscreen(root: React.RefObject<HTMLDivElement | null>) {
  const [on, setOn] = useState(false);
  useEffect(() => {
    const read = () => setOn(document.fullscreenElement === root.current);
    document.addEventListener("fullscreenchange", read);
    return () => document.removeEventListener("fullscreenchange", read);
  }, [root]);
  const toggle = useCallback(() => {
    if (document.fullscreenElement) void document.exitFullscreen();
    else void root.current?.requestFullscreen?.().catch(() => undefined);
  }, [root]);
  return { on, toggle };
}

/** True when nothing has moved for a while, so that the controls may step back. */
function useIdle(root: React.RefObject<HTMLDivElement | null>, may: boolean): boolean {
  const [idle, setIdle] = useState(false);
  useEffect(() => {
    const element = root.current;
    setIdle(false);
    if (!may || !element) return;
    let timer = setTimeout(() => setIdle(true), 2500);
    const wake = () => {
      setIdle(false);
      clearTimeout(timer);
      timer = setTimeout(() => setIdle(true), 2500);
    };
    element.addEventListener("pointermove", wake);
    addEventListener("keydown", wake);
    return () => {
      clearTimeout(timer);
      element.removeEventListener("pointermove", wake);
      removeEventListener("keydown", wake);
    };
  }, [root, may]);
  return idle;
}

/** The player's keys work on the whole page, but never while a person types, chooses or answers. */
function useKeys(act: (action: Action) => void) {
  const latest = useRef(act);
  useEffect(() => {
    latest.current = act;
  });
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      const target = event.target as HTMLElement;
      const field = target.closest(
        "input:not([type=range]), textarea, select, [contenteditable], [role=menu]",
      );
      const modal = target.closest("dialog[open]") && event.key !== "?";
      if (field || modal) return;
      // A focused control keeps the keys that work it.
      if (event.key === " " && target.closest("button, a, summary")) return;
      if (target.closest("input[type=range]") && /^(Arrow|Home|End|Page)/.test(event.key)) return;
      const action = actionFor({ key: event.key, shift: event.shiftKey });
      if (!action) return;
      event.preventDefault();
      latest.current(action);
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);
}
