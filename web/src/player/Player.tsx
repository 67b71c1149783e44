// The player: a video element with controls of our own that count in frames.

import {
  lazy,
  Suspense,
  useCallback,
  useEffect,
  useImperativeHandle,
  useRef,
  useState,
  type Ref,
} from "react";
import type { FrameRate, Rendition } from "../api/types";
import { clock, durationSeconds, grouped } from "../lib/format";
import { say } from "../lib/toasts";
import { useCommands } from "../palette/commands";
import { COMMAND_NAMES, MARKS, PLAYER } from "../strings/player";
import { Icon } from "../ui/Icon";
import { Menu } from "../ui/Menu";
import { type Action } from "./keys";
import { KeySheet } from "./KeySheet";
import { MarkBar } from "./MarkBar";
import type { TimelineHandle } from "./Timeline";
import { isAtEnd, nameFor, neighbour, rangeOf, UNMARKED, withIn, withOut, type Range } from "./marks";
import { SeekBar } from "./SeekBar";
import { useFullscreen, useIdle, useKeys } from "./surface";
import { canDrop, formatTimecode, framesPerSecond, parseTimecode, timecodeAt, typedFrame } from "./timecode";
import { TimecodeField } from "./TimecodeField";
import type { Editor } from "./useEditor";
import { useHls } from "./useHls";
import { useSeek } from "./useSeek";
import { play, useShuttle } from "./useShuttle";
import { useVideoState } from "./useVideoState";
import { VolumeControl } from "./VolumeControl";

const Timeline = lazy(() => import("./Timeline"));
const MarkerForm = lazy(() => import("./MarkerForm"));

/** What the lists below may ask of the player. */
export interface PlayerHandle {
  /** Plays what is marked, round and round. */
  loop: (range: { in: number; out: number }) => void;
  /** Rests on a picture. */
  show: (frame: number) => void;
}

interface PlayerProps {
  ref: Ref<PlayerHandle>;
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
  spritesUrl: string | null;
  /** It is still being rendered. */
  growing: boolean;
  peaksUrl: string | null;
  /** The id of a video that plays only under a grant. */
  privateId: string | null;
  editor: Editor;
}

/** What the palette offers of the player. */
const COMMANDS: readonly { name: string; key: string; action: Action }[] = [
  { name: COMMAND_NAMES.in, key: "I", action: { kind: "mark", what: "in" } },
  { name: COMMAND_NAMES.out, key: "O", action: { kind: "mark", what: "out" } },
  { name: COMMAND_NAMES.save, key: "Enter", action: { kind: "save" } },
  { name: COMMAND_NAMES.marker, key: "M", action: { kind: "marker" } },
  { name: COMMAND_NAMES.loop, key: "P", action: { kind: "range", mode: "loop" } },
  { name: COMMAND_NAMES.clear, key: "X", action: { kind: "unmark", what: "both" } },
  { name: COMMAND_NAMES.timecode, key: "T", action: { kind: "timecode" } },
  { name: COMMAND_NAMES.export, key: "E", action: { kind: "export" } },
  { name: COMMAND_NAMES.full, key: "F", action: { kind: "fullscreen" } },
  { name: COMMAND_NAMES.keys, key: "?", action: { kind: "help" } },
];

const SPEEDS = [0.25, 0.5, 1, 1.5, 2, 4] as const;

export function Player(props: PlayerProps) {
  const { url, title, frames, rate, startTimecode, width, height, poster, hasAudio, renditions, editor } =
    props;
  const root = useRef<HTMLDivElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const stream = useHls(video, url, renditions, props.privateId);
  const accept = useRef<(frame: number) => boolean>(() => true);
  const state = useVideoState(video, rate, frames, accept);
  const { seek, ...seeker } = useSeek(video, rate, frames, state.show);
  useEffect(() => {
    accept.current = seeker.accept;
  }, [seeker.accept]);
  const [help, setHelp] = useState(false);
  const [naming, setNaming] = useState(false);
  /** The pictures that a marker is being set on. */
  const [pinning, setPinning] = useState<Range | null>(null);
  const strip = useRef<TimelineHandle>(null);
  const [typing, setTyping] = useState(false);
  const [speed, setSpeed] = useState(1);
  const [rangeMode, setRangeMode] = useState<"once" | "loop" | null>(null);
  const shuttle = useShuttle(video);
  const fullscreen = useFullscreen(root);
  const idle = useIdle(root, fullscreen.on && !state.paused && !naming && !pinning);
  const { frame, playable } = state;
  const { marks, setMarks } = editor;
  const range = rangeOf(marks, frames);

  // The last frame of the range is on screen: go round, or rest on it.
  useEffect(() => {
    const element = video.current;
    const playing = range ?? { in: 0, out: frames };
    if (!element || rangeMode === null || shuttle.speed < 0 || !isAtEnd(frame, playing)) return;
    if (element.paused && !element.ended) return;
    if (rangeMode === "loop") {
      seek(playing.in);
      void play(element);
    } else {
      element.pause();
      seek(playing.out - 1);
      setRangeMode(null);
    }
  }, [frame, state.paused, rangeMode, range, frames, shuttle.speed, seek]);

  const start = (mode: "once" | "loop", from: number) => {
    shuttle.stop();
    setRangeMode(mode);
    seek(from);
    if (video.current) void play(video.current);
  };
  useImperativeHandle(props.ref, () => ({
    loop: (to) => {
      start("loop", to.in);
      root.current?.scrollIntoView({ block: "nearest" });
    },
    show: (at) => {
      shuttle.stop();
      setRangeMode(null);
      video.current?.pause();
      seek(at);
      root.current?.scrollIntoView({ block: "nearest" });
    },
  }));

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
    const here = seeker.wanted() ?? frame;
    switch (action.kind) {
      case "toggle":
        return toggle();
      case "stop":
        return shuttle.handle({ kind: "stop" });
      case "shuttle": {
        // From plain playing L goes on to twice the speed.
        if (shuttle.speed === 0 && !element.paused && action.direction > 0 && !action.repeat) {
          shuttle.handle({ ...action, kind: "press" });
        }
        return shuttle.handle({ ...action, kind: "press" });
      }
      case "frames":
        shuttle.stop();
        element.pause();
        return seek(here + action.by);
      case "seconds":
        return seek(here + action.by * framesPerSecond(rate));
      case "edge":
        return seek(action.end ? playable - 1 : 0);
      case "tenth":
        return seek(Math.floor((frames * action.of) / 10));
      case "mark":
        return setMarks(action.what === "in" ? withIn(marks, here) : withOut(marks, here));
      case "unmark":
        return setMarks(action.what === "both" ? UNMARKED : { ...marks, [action.what]: null });
      case "goto": {
        const to = action.what === "in" ? marks.in : marks.out && marks.out - 1;
        return to === null ? undefined : seek(to);
      }
      case "range":
        if (action.mode === "loop" && rangeMode === "loop") return setRangeMode(null);
        return start(action.mode, range?.in ?? 0);
      case "save":
        if (editor.offered === false) return say(MARKS.notOffered);
        if (!range) return say(MARKS.unmarked);
        shuttle.stop();
        element.pause();
        return setNaming(true);
      case "clip": {
        const next = neighbour(editor.clips, editor.chosen, here, action.by);
        if (!next) return;
        editor.choose(next);
        return seek(next.in_frame);
      }
      case "marker":
        if (!editor.marking) return say(MARKS.noMarkers);
        shuttle.stop();
        element.pause();
        // With both marks set it is about the range, else about the picture.
        return setPinning(
          marks.in !== null && marks.out !== null && range ? range : { in: here, out: here + 1 },
        );
      case "to-marker": {
        const next =
          action.by > 0
            ? editor.markers.find(({ in_frame }) => in_frame > here)
            : editor.markers.findLast(({ in_frame }) => in_frame < here);
        return next && seek(next.in_frame);
      }
      case "zoom":
        return strip.current?.zoom(action.by);
      case "export":
        return editor.exportButton.current?.click();
      case "timecode":
        element.pause();
        return setTyping(true);
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
  useKeys(act, (stop) => shuttle.handle({ kind: stop ? "unstop" : "release" }));

  useCommands(
    COMMANDS.filter(({ action }) => action.kind !== "save" || editor.offered).map(
      ({ name, key, action }) => ({
        name,
        key,
        run: () => act(action),
      }),
    ),
  );

  const label = (at: number) => timecodeAt(at, rate, startTimecode);
  const drop = (startTimecode === null ? null : parseTimecode(startTimecode, rate))?.drop ?? canDrop(rate);
  const levelName = (index: number | null) => stream.levels.find((level) => level.index === index)?.name;
  const activeName = levelName(stream.active);
  /** The keys go on to work where the form or the field was. */
  const refocus = () => root.current?.focus({ preventScroll: true });

  return (
    <div
      ref={root}
      className={`player surround ${fullscreen.on ? "player-full" : ""} ${idle ? "player-idle" : ""}`}
      data-quality={activeName}
      role="region"
      aria-label={PLAYER.label(title)}
      tabIndex={-1}
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
          <button className="player-start" type="button" onClick={toggle} aria-label={PLAYER.play}>
            <Icon name="play" />
          </button>
        )}
        {state.waiting && !stream.problem && (
          <span className="player-waiting" role="status" aria-label={PLAYER.buffering} />
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
              {PLAYER.again}
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
          range={range}
          clips={editor.clips}
          markers={editor.markers}
          label={label}
          onSeek={seek}
          onHold={hold}
        />
        {(props.spritesUrl || props.peaksUrl) && !fullscreen.on && (
          <div
            className="timeline-place"
            data-parts={(props.spritesUrl ? "pictures " : "") + (props.peaksUrl ? "sound" : "")}
          >
            <Suspense fallback={null}>
              <Timeline
                ref={strip}
                frame={frame}
                frames={frames}
                rate={rate}
                spritesUrl={props.spritesUrl}
                peaksUrl={props.peaksUrl}
                growing={props.growing}
                clips={editor.clips}
                markers={editor.markers}
                range={range}
                playing={!state.paused}
                onSeek={seek}
              />
            </Suspense>
          </div>
        )}
        <div className="player-row">
          <div className="player-group">
            <button
              className="control control-play"
              type="button"
              onClick={toggle}
              aria-label={state.paused ? PLAYER.play : PLAYER.pause}
            >
              <Icon name={state.paused && shuttle.speed === 0 ? "play" : "pause"} />
            </button>
            <button
              className="control control-frame"
              type="button"
              onClick={() => act({ kind: "frames", by: -1 })}
              aria-label={PLAYER.frameBack}
              title={`${PLAYER.frameBack} (,)`}
            >
              <Icon name="frameBack" />
            </button>
            <button
              className="control control-frame"
              type="button"
              onClick={() => act({ kind: "frames", by: 1 })}
              aria-label={PLAYER.frameOn}
              title={`${PLAYER.frameOn} (.)`}
            >
              <Icon name="frameForward" />
            </button>
          </div>
          <div className="player-time numeric">
            <TimecodeField
              timecode={label(frame)}
              open={typing}
              onOpen={(open) => {
                setTyping(open);
                if (!open) refocus();
              }}
              onGo={(text) => {
                const to = typedFrame(text, frame, rate, startTimecode, frames);
                if (to !== null) seek(to);
                return to !== null;
              }}
            />
            <span className="player-frames hint">
              <span>{PLAYER.frame(grouped(frame), grouped(frames))}</span>
              <span>
                {clock(durationSecondsAt(frame, rate))} / {clock(durationSeconds(frames, rate))}
              </span>
            </span>
          </div>
          <div className="player-group player-group-end">
            {hasAudio && (
              <VolumeControl
                volume={state.muted ? 0 : state.volume}
                muted={state.muted}
                onMute={() => act({ kind: "mute" })}
                onVolume={setVolume}
                onStep={(by) => act({ kind: "volume", by })}
              />
            )}
            {stream.sounds.length > 1 && (
              <Menu
                icon="volume"
                label={PLAYER.sound}
                value={stream.sounds[stream.sound]?.name ?? ""}
                chosen={stream.sound}
                options={stream.sounds.map(({ index, name }) => ({ value: index, name }))}
                onChoose={stream.chooseSound}
              />
            )}
            <Menu
              icon="speed"
              label={PLAYER.speed}
              value={`${speed}×`}
              chosen={speed}
              options={SPEEDS.map((value) => ({ value, name: `${value}×` }))}
              onChoose={(value) => {
                setSpeed(value);
                shuttle.stop();
                if (video.current) video.current.playbackRate = video.current.defaultPlaybackRate = value;
              }}
            />
            {stream.levels.length === 0 ? (
              <span className="control control-text control-wait" aria-hidden="true">
                <Icon name="gear" />
                {PLAYER.auto}
              </span>
            ) : (
              <Menu
                icon="gear"
                label={PLAYER.quality}
                value={stream.chosen === null ? PLAYER.auto : (levelName(stream.chosen) ?? PLAYER.auto)}
                chosen={stream.chosen}
                options={[
                  {
                    value: null,
                    name: PLAYER.auto,
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
              aria-label={PLAYER.keys}
              title={`${PLAYER.keys} (?)`}
            >
              <Icon name="keyboard" />
            </button>
            <button
              className="control"
              type="button"
              onClick={fullscreen.toggle}
              aria-label={fullscreen.on ? PLAYER.leaveFull : PLAYER.full}
              title={`${fullscreen.on ? PLAYER.leaveFull : PLAYER.full} (F)`}
            >
              <Icon name={fullscreen.on ? "fullscreenExit" : "fullscreen"} />
            </button>
          </div>
        </div>
        <MarkBar
          marks={marks}
          range={range}
          label={label}
          lengthOf={(length) => formatTimecode({ frame: length, drop }, rate)}
          looping={rangeMode === "loop"}
          offered={editor.offered ?? false}
          marking={editor.marking}
          naming={naming && range !== null}
          suggested={nameFor(title, editor.clips)}
          act={act}
          onCancel={() => {
            setNaming(false);
            refocus();
          }}
          onSave={async (wish) => {
            const refusal = range && (await editor.save(range, wish));
            if (refusal === null) {
              setNaming(false);
              refocus();
            }
            return refusal;
          }}
        />
        {pinning && (
          <Suspense fallback={null}>
            <MarkerForm
              place={label(pinning.in)}
              onCancel={() => {
                setPinning(null);
                refocus();
              }}
              onSave={async (wish) => {
                const refusal = await editor.pin(pinning, wish);
                if (refusal === null) {
                  setPinning(null);
                  refocus();
                }
                return refusal;
              }}
            />
          </Suspense>
        )}
      </div>
      {help && <KeySheet onClose={() => setHelp(false)} />}
    </div>
  );
}

/** Whole seconds that have passed at the start of a frame. */
function durationSecondsAt(frame: number, rate: FrameRate): number {
  return frame === 0 ? 0 : Number((BigInt(frame) * BigInt(rate.den)) / BigInt(rate.num));
}
