import { expect, it } from "vitest";
import { everything, extended, kept, movedTo, NOTHING, toggled, type Selection } from "./selection";

const ORDER = ["a", "b", "c", "d", "e", "f"];
const ids = (selection: Selection) => [...selection.ids].sort().join("");

it("takes single ones in and out", () => {
  let selection = toggled(NOTHING, "b");
  selection = toggled(selection, "d");
  expect(ids(selection)).toBe("bd");
  expect(ids(toggled(selection, "b"))).toBe("d");
});

it("takes a range with shift, whichever way it goes", () => {
  expect(ids(extended(toggled(NOTHING, "b"), ORDER, "e"))).toBe("bcde");
  expect(ids(extended(toggled(NOTHING, "e"), ORDER, "c"))).toBe("cde");
  expect(ids(extended(NOTHING, ORDER, "c"))).toBe("c");
});

it("gives up the last range when another begins at the same place", () => {
  let selection = extended(toggled(NOTHING, "b"), ORDER, "e");
  selection = extended(selection, ORDER, "c");
  expect(ids(selection)).toBe("bc");
  selection = extended(selection, ORDER, "a");
  expect(ids(selection)).toBe("ab");
});

it("keeps what was chosen apart from the range", () => {
  const apart = toggled(toggled(NOTHING, "f"), "b");
  expect(ids(extended(extended(apart, ORDER, "d"), ORDER, "c"))).toBe("bcf");
});

it("begins anew when the anchor is gone or the end is not there", () => {
  const selection = toggled(NOTHING, "b");
  expect(ids(extended(selection, ["c", "d"], "d"))).toBe("bd");
  expect(extended(selection, ORDER, "x")).toBe(selection);
});

it("forgets what is no longer there, and stays the same object otherwise", () => {
  const selection = everything(ORDER);
  expect(kept(selection, new Set(ORDER))).toBe(selection);
  const less = kept(selection, new Set(["b", "c"]));
  expect(ids(less)).toBe("bc");
  expect(less).toMatchObject({ anchor: null, reach: null });
});

it("moves by cell, row, page and to the ends", () => {
  const at = (key: string, from: number) => movedTo(key, from, 10, 4, 3);
  expect([at("ArrowRight", 0), at("ArrowLeft", 0), at("ArrowDown", 1), at("ArrowUp", 5)]).toEqual([
    1, 0, 5, 1,
  ]);
  expect([at("ArrowDown", 7), at("ArrowUp", 2)]).toEqual([7, 2]);
  expect([at("PageDown", 1), at("PageDown", 5), at("PageUp", 9)]).toEqual([9, 9, 1]);
  expect([at("Home", 7), at("End", 2), at("x", 2)]).toEqual([0, 9, null]);
  expect(movedTo("End", 0, 0, 4, 3)).toBeNull();
});
