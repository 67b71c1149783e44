import { expect, it } from "vitest";
import { addressOf, DEFAULT_VIEW, viewOf, type View } from "./address";

it("is empty for what is shown first", () => {
  expect(addressOf(DEFAULT_VIEW)).toBe("/");
  expect(viewOf("")).toEqual(DEFAULT_VIEW);
});

it("comes back from the address as it went in", () => {
  const views: View[] = [
    { status: "failed", q: "", sort: "-created_at", layout: "list" },
    { status: null, q: "day 4 & night – ä?", sort: "filename", layout: "grid" },
    { status: "ready", q: "a=b", sort: "-filename", layout: "list" },
  ];
  for (const view of views) expect(viewOf(new URL(addressOf(view), "http://x").search)).toEqual(view);
});

it("falls back where the address says what it does not know", () => {
  expect(viewOf("?status=gone&sort=size&view=tree&x=1")).toEqual(DEFAULT_VIEW);
});
