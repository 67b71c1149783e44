// Pure: J, K and L as on an edit suite. L and J run on and back, again for twice the speed; K stops. With K held,
// L and J crawl for as long as they are held.

export interface Shuttle {
  /** Times the normal speed, negative backwards; 0 is no shuttle. */
  speed: number;
  /** K is down. */
  held: boolean;
}

export type ShuttleEvent =
  /** `repeat`: the key is held down and the system says so again. */
  | { kind: "press"; direction: 1 | -1; repeat: boolean }
  | { kind: "release" }
  | { kind: "stop" }
  | { kind: "unstop" };

export const STILL: Shuttle = { speed: 0, held: false };
export const FASTEST = 8;
const CRAWL = 0.25;

export function shuttle(state: Shuttle, event: ShuttleEvent): Shuttle {
  const crawling = state.speed !== 0 && Math.abs(state.speed) < 1;
  switch (event.kind) {
    case "press":
      if (event.repeat) return state;
      if (state.held) return { ...state, speed: event.direction * CRAWL };
      return { ...state, speed: faster(state.speed, event.direction) };
    case "release":
      return crawling ? { ...state, speed: 0 } : state;
    case "stop":
      return { speed: 0, held: true };
    case "unstop":
      return { speed: crawling ? 0 : state.speed, held: false };
  }
}

/** The same direction again doubles the speed up to the fastest; the other one turns round. */
function faster(speed: number, direction: 1 | -1): number {
  if (Math.sign(speed) !== direction) return direction;
  return direction * Math.min(FASTEST, Math.max(1, Math.abs(speed) * 2));
}
