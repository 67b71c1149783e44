import { expect, it } from "vitest";
import { unused } from "./bulk";

it("gives each file of an archive a name of its own", () => {
  const taken: Record<string, unknown> = {};
  const names = ["a.edl", "a.edl", "a.edl", "b", "b", ".edl"].map((name) => {
    const free = unused(name, taken);
    taken[free] = 1;
    return free;
  });
  expect(names).toEqual(["a.edl", "a-2.edl", "a-3.edl", "b", "b-2", ".edl"]);
});
