// How loud it is: a button, a slider, and the wheel over both.

import { useEffect, useRef } from "react";
import { PLAYER } from "../strings/player";
import { Icon } from "../ui/Icon";

interface VolumeControlProps {
  volume: number;
  muted: boolean;
  onMute: () => void;
  onVolume: (percent: number) => void;
  onStep: (by: number) => void;
}

export function VolumeControl({ volume, muted, onMute, onVolume, onStep }: VolumeControlProps) {
  const root = useRef<HTMLDivElement>(null);
  const latest = useRef(onStep);
  useEffect(() => {
    latest.current = onStep;
  });
  // React listens to the wheel passively, and the page must not scroll with the volume.
  useEffect(() => {
    const element = root.current;
    const turn = (event: WheelEvent) => {
      if (event.ctrlKey || event.deltaY === 0) return;
      event.preventDefault();
      latest.current(event.deltaY < 0 ? 5 : -5);
    };
    element?.addEventListener("wheel", turn, { passive: false });
    return () => element?.removeEventListener("wheel", turn);
  }, []);
  const name = muted ? PLAYER.unmute : PLAYER.mute;
  return (
    <div className="volume" ref={root}>
      <button className="control" type="button" onClick={onMute} aria-label={name} title={`${name} (V)`}>
        <Icon name={muted ? "muted" : "volume"} />
      </button>
      <input
        type="range"
        min={0}
        max={100}
        value={volume}
        aria-label={PLAYER.volume}
        style={{ "--value": `${volume}%` } as React.CSSProperties}
        onChange={(event) => onVolume(Number(event.target.value))}
      />
    </div>
  );
}
