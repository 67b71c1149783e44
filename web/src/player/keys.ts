// Pure: which key does what in the player, and how J, K and L shuttle.

export type Action =
  | { kind: "toggle" }
  | { kind: "stop" }
  | { kind: "shuttle"; direction: 1 | -1 }
  | { kind: "frames"; by: number }
  | { kind: "seconds"; by: number }
  | { kind: "edge"; end: boolean }
  | { kind: "tenth"; of: number }
  | { kind: "fullscreen" }
  | { kind: "mute" }
  | { kind: "volume"; by: number }
  | { kind: "help" };

export interface Key {
  key: string;
  shift: boolean;
}

export function actionFor({ key, shift }: Key): Action | null {
  switch (key) {
    case " ":
      return { kind: "toggle" };
    case "k":
    case "K":
      return { kind: "stop" };
    case "j":
    case "J":
      return { kind: "shuttle", direction: -1 };
    case "l":
    case "L":
      return { kind: "shuttle", direction: 1 };
    case "ArrowLeft":
      return shift ? { kind: "seconds", by: -1 } : { kind: "frames", by: -1 };
    case "ArrowRight":
      return shift ? { kind: "seconds", by: 1 } : { kind: "frames", by: 1 };
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
    case "f":
    case "F":
      return { kind: "fullscreen" };
    case "m":
    case "M":
      return { kind: "mute" };
    case "?":
      return { kind: "help" };
    default:
      return /^[0-9]$/.test(key) ? { kind: "tenth", of: Number(key) } : null;
  }
}

/** The next shuttle speed: the same key again doubles it up to eight times, the other one turns round. */
export function shuttled(speed: number, direction: 1 | -1): number {
  if (Math.sign(speed) !== direction) return direction;
  return direction * Math.min(8, Math.abs(speed) * 2);
}

/** The help sheet. */
export const KEYS: readonly (readonly [keys: readonly string[], what: string])[] = [
  [["Space"], "Play or pause"],
  [["K"], "Play or pause; stops a shuttle"],
  [["J", "L"], "Shuttle back, forward; again for 2, 4, 8 times"],
  [["←", "→"], "One frame"],
  [[",", "."], "One frame"],
  [["Shift ←", "Shift →"], "One second"],
  [["Home", "End"], "First, last frame"],
  [["0", "9"], "Tenths of the length"],
  [["↑", "↓"], "Louder, quieter"],
  [["M"], "Mute"],
  [["F"], "Full screen"],
  [["?"], "This sheet"],
];
