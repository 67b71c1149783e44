import { expect, it } from "vitest";
import { belongs, dayStart, EVERYTHING, parametersOf, type VideoFilter } from "./filter";
import type { Video } from "./types";

const video = {
  filename: "Harbour.mov",
  status: "ready",
  tags: ["Day 4", "B-roll"],
  bins: ["b"],
  frame_rate: { num: 30000, den: 1001 },
  copies: [{ node: "n", site: "stage" }],
  created_at: "2026-11-24T12:00:00Z",
} as unknown as Video;
const fits = (part: Partial<VideoFilter>) => belongs(video, { ...EVERYTHING, ...part });

it("says whether a video is one of those asked for, as a node does", () => {
  expect(fits({})).toBe(true);
  expect(fits({ tags: ["day 4", "B-ROLL"] })).toBe(true);
  expect(fits({ tags: ["day 4", "x"] })).toBe(false);
  expect(fits({ bin: "b", rate: "30000/1001", site: "stage", q: "HARB" })).toBe(true);
  expect(fits({ bin: "c" })).toBe(false);
  expect(fits({ rate: "30" })).toBe(false);
  expect(fits({ site: "home" })).toBe(false);
});

it("counts a day from its first to its last moment, here", () => {
  const day = (date: Date) =>
    `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, "0")}-${String(date.getDate()).padStart(2, "0")}`;
  const here = day(new Date(video.created_at));
  expect(fits({ from: here, to: here })).toBe(true);
  expect(fits({ from: day(dayStart(here, 1) as Date) })).toBe(false);
  expect(fits({ to: day(dayStart(here, -1) as Date) })).toBe(false);
  expect(parametersOf({ ...EVERYTHING, to: "nonsense" }).to).toBeUndefined();
  expect(dayStart("")).toBeNull();
});
