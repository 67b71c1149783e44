import { expect, it } from "vitest";
import { cellAt, cellOf } from "./sprites";

const cells = [12, 37, 62].map((frame, index) => ({
  frame,
  start_ms: index * 1000,
  end_ms: index * 1000 + 1000,
  sheet: 0,
  x: index * 192,
  y: 0,
}));

it("finds the picture at a share of the whole", () => {
  expect([0, 0.3, 0.34, 0.99, 1, 2, -1].map((share) => cellAt({ cells }, share)?.frame)).toEqual([
    12, 12, 37, 62, 62, 62, 12,
  ]);
  expect(cellAt({ cells: [] }, 0.5)).toBeNull();
});

it("finds the picture nearest to a frame", () => {
  expect([0, 12, 24, 25, 36, 50, 1000].map((frame) => cellOf({ cells }, frame)?.frame)).toEqual([
    12, 12, 12, 37, 37, 62, 62,
  ]);
  expect(cellOf({ cells: [] }, 3)).toBeNull();
});
