// The time line: where it is, what is buffered, what is rendered, and the frame under the pointer.

import { useRef, useState, type KeyboardEvent, type PointerEvent } from "react";
import type { Clip, Marker } from "../api/types";
import { PLAYER } from "../strings/player";
import type { Range } from "./marks";

interface SeekBarProps {
  frame: number;
  frames: number;
  /** Frames that can be played by now; fewer than `frames` while it renders. */
  playable: number;
  /** Start and end of what is buffered, as frames. */
  buffered: readonly (readonly [start: number, end: number])[];
  /** What is marked. */
  range: Range | null;
  clips: readonly Clip[];
  markers: readonly Marker[];
  label: (frame: number) => string;
  onSeek: (frame: number) => void;
  /** The person holds the handle: playing waits. */
  onHold: (held: boolean) => void;
}

export function SeekBar(props: SeekBarProps) {
  const { frame, frames, playable, buffered, range, clips, markers, label, onSeek, onHold } = props;
  const track = useRef<HTMLDivElement>(null);
  const [pointed, setPointed] = useState<number | null>(null);
  const [held, setHeld] = useState(false);
  const last = Math.max(1, frames - 1);
  const share = (at: number) => Math.min(1, Math.max(0, at / last));

  const frameUnder = (event: PointerEvent) => {
    const box = track.current?.getBoundingClientRect();
    if (!box || box.width === 0) return 0;
    const pixels = Math.min(box.width, Math.max(0, event.clientX - box.left));
    return Math.min(playable - 1, Math.round((pixels * last) / box.width));
  };
  const down = (event: PointerEvent<HTMLDivElement>) => {
    if (event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    setHeld(true);
    onHold(true);
    onSeek(frameUnder(event));
  };
  const move = (event: PointerEvent<HTMLDivElement>) => {
    const under = frameUnder(event);
    setPointed(under);
    if (held) onSeek(under);
  };
  const up = () => {
    if (!held) return;
    setHeld(false);
    onHold(false);
  };
  // Arrows and the rest are the player's keys; only what a slider adds to them is handled here.
  const key = (event: KeyboardEvent) => {
    const step = Math.max(1, Math.round(frames / 20));
    if (event.key === "PageUp") onSeek(Math.min(playable - 1, frame + step));
    else if (event.key === "PageDown") onSeek(Math.max(0, frame - step));
    else return;
    event.preventDefault();
  };

  return (
    <div
      className={held ? "seek seek-held" : "seek"}
      role="slider"
      tabIndex={0}
      aria-label={PLAYER.position}
      aria-valuemin={0}
      aria-valuemax={last}
      aria-valuenow={frame}
      aria-valuetext={label(frame)}
      onPointerDown={down}
      onPointerMove={move}
      onPointerUp={up}
      onPointerCancel={up}
      onPointerLeave={() => setPointed(null)}
      onKeyDown={key}
    >
      <div className="seek-track" ref={track}>
        {playable < frames && (
          <span className="seek-playable" style={{ width: `${share(playable) * 100}%` }} />
        )}
        {buffered.map(([start, end]) => (
          <span
            key={start}
            className="seek-buffered"
            style={{ left: `${share(start) * 100}%`, width: `${(share(end) - share(start)) * 100}%` }}
          />
        ))}
        {clips.map(({ id, in_frame, out_frame }) => (
          <span
            key={id}
            className="seek-clip"
            style={{
              left: `${share(in_frame) * 100}%`,
              width: `${(share(out_frame) - share(in_frame)) * 100}%`,
            }}
          />
        ))}
        {markers.map(({ id, in_frame, colour }) => (
          <span
            key={id}
            className="seek-marker"
            data-colour={colour}
            style={{ left: `${share(in_frame) * 100}%` }}
          />
        ))}
        {range && (
          <span
            className="seek-range"
            style={{
              left: `${share(range.in) * 100}%`,
              width: `${(share(range.out - 1) - share(range.in)) * 100}%`,
            }}
          />
        )}
        <span className="seek-played" style={{ width: `${share(frame) * 100}%` }} />
        {pointed !== null && !held && (
          <span className="seek-pointed" style={{ left: `${share(pointed) * 100}%` }} />
        )}
        <span className="seek-handle" style={{ left: `${share(frame) * 100}%` }} />
        {pointed !== null && (
          <output
            className="seek-label numeric"
            style={{ left: `clamp(48px, ${share(pointed) * 100}%, 100% - 48px)` }}
          >
            {label(pointed)}
          </output>
        )}
      </div>
    </div>
  );
}
