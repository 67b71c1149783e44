import { expect, it } from "vitest";
import { addressOf, DEFAULT_VIEW, narrowings, viewOf, widened, type View } from "./address";

it("is empty for what is shown first", () => {
  expect(addressOf(DEFAULT_VIEW)).toBe("/");
  expect(viewOf("")).toEqual(DEFAULT_VIEW);
});

it("comes back from the address as it went in", () => {
  const views: View[] = [
    { ...DEFAULT_VIEW, status: "failed", layout: "list" },
    { ...DEFAULT_VIEW, q: "day 4 & night – ä?", sort: "filename" },
    { ...DEFAULT_VIEW, status: "ready", q: "a=b", sort: "-duration", layout: "list" },
    { ...DEFAULT_VIEW, tags: ["Day 4", "b&w"], bin: "0193", rate: "30000/1001", site: "stage one" },
    { ...DEFAULT_VIEW, from: "2026-11-01", to: "2026-11-24" },
  ];
  for (const view of views) expect(viewOf(new URL(addressOf(view), "http://x").search)).toEqual(view);
});

it("falls back where the address says what it does not know", () => {
  expect(viewOf("?status=gone&sort=size&view=tree&x=1&rate=fast&from=monday&bin=&tag=")).toEqual(
    DEFAULT_VIEW,
  );
});

it("counts what narrows and forgets it", () => {
  const view: View = { ...DEFAULT_VIEW, tags: ["a", "b"], bin: "x", from: "2026-11-01", layout: "list" };
  expect(narrowings(view)).toBe(4);
  expect(widened(view)).toEqual({ ...DEFAULT_VIEW, layout: "list" });
});
