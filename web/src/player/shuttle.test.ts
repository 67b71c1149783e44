import { expect, it } from "vitest";
import { shuttle, STILL, type ShuttleEvent } from "./shuttle";

const L: ShuttleEvent = { kind: "press", direction: 1, repeat: false };
const J: ShuttleEvent = { kind: "press", direction: -1, repeat: false };
const K: ShuttleEvent = { kind: "stop" };
const K_UP: ShuttleEvent = { kind: "unstop" };
const UP: ShuttleEvent = { kind: "release" };
const speeds = (...events: ShuttleEvent[]) => {
  let state = STILL;
  return events.map((event) => (state = shuttle(state, event)).speed);
};

it("doubles with each press, and turns round with the other key", () => {
  expect(speeds(L, UP, L, UP, L, UP, L, UP, L)).toEqual([1, 1, 2, 2, 4, 4, 8, 8, 8]);
  expect(speeds(L, L, J, J, L)).toEqual([1, 2, -1, -2, 1]);
});

it("does not run away while a key is held", () => {
  expect(speeds(L, { ...L, repeat: true }, { ...L, repeat: true })).toEqual([1, 1, 1]);
});

it("stops with K", () => {
  expect(speeds(J, J, K, K_UP, L)).toEqual([-1, -2, 0, 0, 1]);
});

it("crawls while K and a direction are held, and no longer", () => {
  expect(speeds(K, L, UP, J, K_UP)).toEqual([0, 0.25, 0, -0.25, 0]);
  expect(speeds(K, L, K_UP, UP)).toEqual([0, 0.25, 0, 0]);
});
