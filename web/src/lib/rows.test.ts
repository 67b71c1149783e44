import { expect, it } from "vitest";
import { gridLayout, visibleRows } from "./rows";

it("fits as many columns as are wide enough", () => {
  expect(gridLayout(1352, 250, 24, 68, 28)).toEqual({ columns: 5, rowHeight: 237 });
  expect(gridLayout(358, 240, 16, 68, 20).columns).toBe(1);
  expect(gridLayout(100, 250, 24, 68, 28).columns).toBe(1);
});

it("draws the rows in the window and a few beside it", () => {
  expect(visibleRows(150, 900, 1000, 250, 2)).toEqual({ first: 0, end: 5 });
  expect(visibleRows(-25_000, 900, 1000, 250, 2)).toEqual({ first: 98, end: 106 });
});

it("never leaves the grid", () => {
  expect(visibleRows(5000, 900, 10, 250, 2)).toEqual({ first: 0, end: 0 });
  expect(visibleRows(-100_000, 900, 10, 250, 2)).toEqual({ first: 10, end: 10 });
});
