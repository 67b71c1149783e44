// The source timecode of the frame on screen; a click or T makes it a field to type another into.

import { useEffect, useRef, useState } from "react";
import { PLAYER } from "../strings/player";

interface TimecodeFieldProps {
  timecode: string;
  /** Set when the T key asks for the field. */
  open: boolean;
  onOpen: (open: boolean) => void;
  /** False if what was typed is no place in the video. */
  onGo: (text: string) => boolean;
}

export function TimecodeField({ timecode, open, onOpen, onGo }: TimecodeFieldProps) {
  const [wrong, setWrong] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (!open) return;
    setWrong(false);
    field.current?.select();
  }, [open]);
  if (!open) {
    return (
      <button
        className="player-timecode"
        type="button"
        title={PLAYER.goTo}
        data-testid="timecode"
        onClick={() => onOpen(true)}
      >
        {timecode}
      </button>
    );
  }
  return (
    <input
      ref={field}
      className="player-timecode"
      aria-label={PLAYER.goToLabel}
      aria-invalid={wrong}
      defaultValue={timecode}
      autoFocus
      spellCheck={false}
      autoComplete="off"
      onBlur={() => onOpen(false)}
      onChange={() => setWrong(false)}
      onKeyDown={(event) => {
        if (event.key === "Escape") onOpen(false);
        if (event.key !== "Enter") return;
        event.preventDefault();
        if (onGo(event.currentTarget.value)) onOpen(false);
        else setWrong(true);
      }}
    />
  );
}
