import { expect, it } from "vitest";
import { following, levelFor, outline, panned, sampleAt, zoomed } from "./timeline";

const ALL = { from: 0, to: 1000 };

it("zooms around what is pointed at and never past the ends", () => {
  expect(zoomed(ALL, 0.5, 0.5, 1000)).toEqual({ from: 250, to: 750 });
  expect(zoomed(ALL, 0.5, 0, 1000)).toEqual({ from: 0, to: 500 });
  expect(zoomed({ from: 900, to: 1000 }, 4, 1, 1000)).toEqual({ from: 600, to: 1000 });
  expect(zoomed({ from: 100, to: 200 }, 100, 0.5, 1000)).toEqual(ALL);
  expect(zoomed(ALL, 0.0001, 0.5, 1000)).toEqual({ from: 488, to: 512 });
  expect(zoomed({ from: 0, to: 5 }, 0.5, 0.5, 5)).toEqual({ from: 0, to: 5 });
});

it("moves as far as there are frames", () => {
  expect(panned({ from: 100, to: 200 }, 50, 1000)).toEqual({ from: 150, to: 250 });
  expect(panned({ from: 100, to: 200 }, -500, 1000)).toEqual({ from: 0, to: 100 });
  expect(panned({ from: 100, to: 200 }, 5000, 1000)).toEqual({ from: 900, to: 1000 });
});

it("turns the page when the picture leaves it", () => {
  const view = { from: 100, to: 200 };
  expect(following(view, 199, 1000)).toBe(view);
  expect(following(view, 200, 1000)).toEqual({ from: 190, to: 290 });
  expect(following(view, 3, 1000)).toEqual({ from: 0, to: 100 });
});

it("reads no more of the sound than there are pixels for", () => {
  const levels = [
    { samples_per_bucket: 16384, buckets: 30, offset: 0 },
    { samples_per_bucket: 256, buckets: 1900, offset: 200 },
    { samples_per_bucket: 2048, buckets: 240, offset: 100 },
  ];
  expect(levelFor(levels, 480_000, 20)?.samples_per_bucket).toBe(16384);
  expect(levelFor(levels, 480_000, 200)?.samples_per_bucket).toBe(2048);
  expect(levelFor(levels, 480_000, 5000)?.samples_per_bucket).toBe(256);
  expect(levelFor([], 1, 1)).toBeNull();
  expect(sampleAt(30, { num: 30000, den: 1001 }, 48000)).toBe(48048);
});

it("draws the loudest of each column", () => {
  // Four buckets of two channels.
  const data = Int8Array.from([-1, 1, -2, 2, -64, 127, 0, 0, 0, 0, 0, 0, -128, 5, 0, 0]);
  expect([...outline(data, 2, 100, 0, 400, 2)].map((value) => Math.round(value * 100))).toEqual([
    -50, 100, -100, 4,
  ]);
  expect([...outline(data, 2, 100, 300, 400, 1)].map((value) => Math.round(value * 100))).toEqual([-100, 4]);
  expect([...outline(data, 2, 100, 400, 800, 1)]).toEqual([0, 0]);
});
