import { expect, it } from "vitest";
import { matching } from "./match";

const names = (typed: string) =>
  matching(
    ["Go to the library", "Go to jobs", "Show failed jobs", "Export the subclips: EDL", "Mark in"].map(
      (name) => ({
        name,
      }),
    ),
    typed,
  ).map(({ name }) => name);

it("keeps the order while nothing is typed", () => {
  expect(names("")).toHaveLength(5);
  expect(names("  ")[0]).toBe("Go to the library");
});

it("asks for every word, in whatever order", () => {
  expect(names("jobs")).toEqual(["Go to jobs", "Show failed jobs"]);
  expect(names("jobs failed")).toEqual(["Show failed jobs"]);
  expect(names("zebra")).toEqual([]);
});

it("puts what begins so before what has it inside", () => {
  expect(names("ed")).toEqual(["Export the subclips: EDL", "Show failed jobs"]);
  expect(names("mark")).toEqual(["Mark in"]);
});
