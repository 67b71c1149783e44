import { expect, it } from "vitest";
import { ago, bytes, clock, count, durationSeconds, frameRate, grouped, percent, span } from "./format";

it("writes sizes in decimal units", () => {
  expect([0, 999, 1000, 1_500_000, 99_960_000, 123_400_000, 4e12].map(bytes)).toEqual([
    "0 B",
    "999 B",
    "1.0 kB",
    "1.5 MB",
    "100 MB",
    "123 MB",
    "4.0 TB",
  ]);
  expect(bytes(999_999)).toBe("1.0 MB");
});

it("writes frame rates with at most three decimals", () => {
  const rates = [
    [24000, 1001],
    [24, 1],
    [25, 1],
    [30000, 1001],
    [60000, 1001],
    [25, 2],
  ] as const;
  expect(rates.map(([num, den]) => frameRate({ num, den }))).toEqual([
    "23.976",
    "24",
    "25",
    "29.97",
    "59.94",
    "12.5",
  ]);
});

it("counts whole seconds without floats", () => {
  expect(durationSeconds(1323, { num: 24, den: 1 })).toBe(55);
  expect(durationSeconds(30000, { num: 30000, den: 1001 })).toBe(1001);
  expect(durationSeconds(1, { num: 25, den: 1 })).toBe(1);
  expect(durationSeconds(0, { num: 25, den: 1 })).toBe(0);
  expect([0, 59, 3600, 86_399].map(clock)).toEqual(["00:00:00", "00:00:59", "01:00:00", "23:59:59"]);
});

it("says how long in words", () => {
  expect([3, 12, 61, 3700, 200_000].map(span)).toEqual([
    "a few seconds",
    "15 s",
    "1 min",
    "1 h 02 min",
    "2 days",
  ]);
});

it("rounds progress down, so that 100 % means all", () => {
  expect([0, 9, 999, 1000].map(percent)).toEqual(["0 %", "0 %", "99 %", "100 %"]);
});

it("counts things", () => {
  expect(count(1, "video")).toBe("1 video");
  expect(count(12_345, "frame")).toBe("12,345 frames");
  expect([0, 999, 1000, 1_234_567].map(grouped)).toEqual(["0", "999", "1,000", "1,234,567"]);
});

it("says when", () => {
  const now = Date.parse("2026-11-22T20:00:00Z");
  const times = [
    "2026-11-22T19:59:30Z",
    "2026-11-22T19:30:00Z",
    "2026-11-22T10:00:00Z",
    "2026-11-21T08:00:00Z",
    "2026-10-01T00:00:00Z",
  ];
  expect(times.map((time) => ago(time, now))).toEqual([
    "just now",
    "30 min ago",
    "10 h ago",
    "yesterday",
    "2026-10-01",
  ]);
  // A node whose clock is ahead.
  expect(ago("2026-11-22T20:05:00Z", now)).toBe("just now");
});
