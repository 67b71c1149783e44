import { expect, it } from "vitest";
import { jobName } from "./jobs";

it("names what a job does", () => {
  expect(["probe", "piece-0003", "audio", "stills", "other"].map(jobName)).toEqual([
    "Look into the file",
    "Render the picture, piece 4",
    "Render the sound",
    "Make the poster",
    "other",
  ]);
});
