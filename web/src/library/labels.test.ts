import { expect, it } from "vitest";
import type { Video } from "../api/types";
import { has, labelled, wishFor } from "./labels";

const video = { tags: ["Day 4"], bins: ["a"] } as unknown as Video;

it("knows a tag in any spelling and changes nothing twice", () => {
  expect(has(video, { kind: "tag", value: "DAY 4" })).toBe(true);
  expect(labelled(video, { kind: "tag", value: "day 4", add: true })).toBe(video);
  expect(labelled(video, { kind: "tag", value: "day 4", add: false }).tags).toEqual([]);
  expect(labelled(video, { kind: "tag", value: "B-roll", add: true }).tags).toEqual(["B-roll", "Day 4"]);
});

it("puts a video into a bin and takes it out", () => {
  expect(labelled(video, { kind: "bin", value: "b", add: true }).bins).toEqual(["a", "b"]);
  expect(labelled(video, { kind: "bin", value: "a", add: false }).bins).toEqual([]);
});

it("asks a node for just that", () => {
  expect(wishFor(["1"], { kind: "bin", value: "a", add: false })).toEqual({
    videos: ["1"],
    remove_bins: ["a"],
  });
  expect(wishFor(["1"], { kind: "tag", value: "x", add: true })).toEqual({ videos: ["1"], add_tags: ["x"] });
});
