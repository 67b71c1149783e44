// Pure: which key does what in the player.

export type Action =
  | { kind: "toggle" }
  | { kind: "stop" }
  | { kind: "shuttle"; direction: 1 | -1; repeat: boolean }
  | { kind: "frames"; by: number }
  | { kind: "seconds"; by: number }
  | { kind: "edge"; end: boolean }
  | { kind: "tenth"; of: number }
  | { kind: "mark"; what: "in" | "out" }
  | { kind: "unmark"; what: "in" | "out" | "both" }
  | { kind: "goto"; what: "in" | "out" }
  | { kind: "range"; mode: "once" | "loop" }
  | { kind: "save" }
  | { kind: "clip"; by: 1 | -1 }
  | { kind: "marker" }
  | { kind: "to-marker"; by: 1 | -1 }
  | { kind: "zoom"; by: 1 | -1 }
  | { kind: "export" }
  | { kind: "timecode" }
  | { kind: "fullscreen" }
  | { kind: "mute" }
  | { kind: "volume"; by: number }
  | { kind: "help" };

export interface Key {
  key: string;
  /** The place on the keyboard: with Alt, some systems write another letter. */
  code?: string;
  shift: boolean;
  alt?: boolean;
  repeat?: boolean;
}

export function actionFor({ key, code = "", shift, alt = false, repeat = false }: Key): Action | null {
  if (alt) {
    if (code === "KeyI") return { kind: "unmark", what: "in" };
    if (code === "KeyO") return { kind: "unmark", what: "out" };
    if (code === "KeyX") return { kind: "unmark", what: "both" };
    return null;
  }
  const step = shift ? "seconds" : "frames";
  switch (key.length === 1 ? key.toLowerCase() : key) {
    case " ":
      return shift ? { kind: "range", mode: "once" } : { kind: "toggle" };
    case "k":
      return { kind: "stop" };
    case "j":
      return { kind: "shuttle", direction: -1, repeat };
    case "l":
      return { kind: "shuttle", direction: 1, repeat };
    case "ArrowLeft":
      return { kind: step, by: -1 };
    case "ArrowRight":
      return { kind: step, by: 1 };
    case ",":
      return { kind: "frames", by: -1 };
    case ".":
      return { kind: "frames", by: 1 };
    case "ArrowUp":
      return { kind: "volume", by: 10 };
    case "ArrowDown":
      return { kind: "volume", by: -10 };
    case "Home":
      return { kind: "edge", end: false };
    case "End":
      return { kind: "edge", end: true };
    case "i":
      return { kind: shift ? "goto" : "mark", what: "in" };
    case "o":
      return { kind: shift ? "goto" : "mark", what: "out" };
    case "x":
      return { kind: "unmark", what: "both" };
    case "p":
      return { kind: "range", mode: "loop" };
    case "Enter":
    case "s":
      return { kind: "save" };
    case "b":
      return { kind: "clip", by: -1 };
    case "n":
      return { kind: "clip", by: 1 };
    case "e":
      return { kind: "export" };
    case "t":
      return { kind: "timecode" };
    case "f":
      return { kind: "fullscreen" };
    case "m":
      return { kind: "marker" };
    case "[":
      return { kind: "to-marker", by: -1 };
    case "]":
      return { kind: "to-marker", by: 1 };
    case "+":
    case "=":
      return { kind: "zoom", by: 1 };
    case "-":
    case "−":
      return { kind: "zoom", by: -1 };
    case "v":
      return { kind: "mute" };
    case "?":
      return { kind: "help" };
    default:
      return /^[0-9]$/.test(key) ? { kind: "tenth", of: Number(key) } : null;
  }
}
