import { expect, it } from "vitest";
import { actionFor, shuttled } from "./keys";

it("maps the keys of edit suites", () => {
  expect(actionFor({ key: " ", shift: false })).toEqual({ kind: "toggle" });
  expect(actionFor({ key: "ArrowLeft", shift: false })).toEqual({ kind: "frames", by: -1 });
  expect(actionFor({ key: "ArrowRight", shift: true })).toEqual({ kind: "seconds", by: 1 });
  expect(actionFor({ key: ".", shift: false })).toEqual({ kind: "frames", by: 1 });
  expect(actionFor({ key: "5", shift: false })).toEqual({ kind: "tenth", of: 5 });
  expect(actionFor({ key: "x", shift: false })).toBeNull();
});

it("shuttles faster with each press, and turns round with the other key", () => {
  expect([1, 2, 4, 8].map((speed) => shuttled(speed, 1))).toEqual([2, 4, 8, 8]);
  expect(shuttled(0, 1)).toBe(1);
  expect(shuttled(0, -1)).toBe(-1);
  expect(shuttled(4, -1)).toBe(-1);
  expect(shuttled(-2, -1)).toBe(-4);
});
