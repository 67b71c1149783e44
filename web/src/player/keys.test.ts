import { expect, it } from "vitest";
import { KEYS } from "../strings/player";
import { actionFor } from "./keys";

const plain = (key: string) => actionFor({ key, shift: false });
const shift = (key: string) => actionFor({ key, shift: true });

it("maps the keys of edit suites", () => {
  expect(plain(" ")).toEqual({ kind: "toggle" });
  expect(plain("ArrowLeft")).toEqual({ kind: "frames", by: -1 });
  expect(shift("ArrowRight")).toEqual({ kind: "seconds", by: 1 });
  expect(plain(".")).toEqual({ kind: "frames", by: 1 });
  expect(plain("5")).toEqual({ kind: "tenth", of: 5 });
  expect(plain("i")).toEqual({ kind: "mark", what: "in" });
  expect(shift("O")).toEqual({ kind: "goto", what: "out" });
  expect(plain("y")).toBeNull();
});

it("sets a marker with M as edit software does, and turns the sound off with V", () => {
  expect(plain("m")).toEqual({ kind: "marker" });
  expect(plain("v")).toEqual({ kind: "mute" });
  expect(plain("]")).toEqual({ kind: "to-marker", by: 1 });
});

it("knows the letters with caps lock too", () => {
  expect(plain("L")).toEqual({ kind: "shuttle", direction: 1, repeat: false });
});

it("clears marks by the place of the key, whatever letter Alt makes of it", () => {
  expect(actionFor({ key: "ˆ", code: "KeyI", shift: false, alt: true })).toEqual({
    kind: "unmark",
    what: "in",
  });
  expect(actionFor({ key: "ArrowLeft", code: "ArrowLeft", shift: false, alt: true })).toBeNull();
});

it("does something for every key on the sheet", () => {
  const names: Record<string, string> = { Space: " ", "←": "ArrowLeft", "→": "ArrowRight", "↑": "ArrowUp" };
  names["↓"] = "ArrowDown";
  for (const [key] of KEYS.flatMap(({ keys }) => keys).flatMap(([keys]) => keys.map((each) => [each]))) {
    const parts = (key ?? "").split(" ");
    const last = parts.at(-1) ?? "";
    const found = actionFor({
      key: names[last] ?? (last.length === 1 ? last.toLowerCase() : last),
      code: `Key${last}`,
      shift: parts.includes("Shift"),
      alt: parts.includes("Alt"),
    });
    expect(found, key).not.toBeNull();
  }
});
