import { expect, it } from "vitest";
import { isAtEnd, nameFor, neighbour, rangeOf, UNMARKED, withIn, withOut } from "./marks";

it("holds the frames on screen when I and O were pressed, both with it", () => {
  const marks = withOut(withIn(UNMARKED, 10), 19);
  expect(rangeOf(marks, 100)).toEqual({ in: 10, out: 20 });
  expect(rangeOf(withOut(withIn(UNMARKED, 7), 7), 100)).toEqual({ in: 7, out: 8 });
});

it("gives up the other mark when they would cross", () => {
  const marks = withOut(withIn(UNMARKED, 10), 19);
  expect(withIn(marks, 20)).toEqual({ in: 20, out: null });
  expect(withIn(marks, 19)).toEqual({ in: 19, out: 20 });
  expect(withOut(marks, 9)).toEqual({ in: null, out: 10 });
});

it("reaches to the end on the side that is not marked", () => {
  expect(rangeOf(UNMARKED, 100)).toBeNull();
  expect(rangeOf({ in: 40, out: null }, 100)).toEqual({ in: 40, out: 100 });
  expect(rangeOf({ in: null, out: 40 }, 100)).toEqual({ in: 0, out: 40 });
  expect(rangeOf({ in: 5, out: 140 }, 100)).toEqual({ in: 5, out: 100 });
});

it("is at its end with its last frame", () => {
  const range = { in: 10, out: 20 };
  expect([10, 18, 19, 20].map((frame) => isAtEnd(frame, range))).toEqual([false, false, true, true]);
});

it("finds a name that is free", () => {
  expect(nameFor("A001_C003.mov", [])).toBe("A001_C003 01");
  expect(nameFor("a.b.mp4", [{ name: "a.b 02" }])).toBe("a.b 03");
  expect(nameFor(".hidden", [])).toBe(".hidden 01");
});

it("goes from subclip to subclip", () => {
  const clips = [
    { id: "a", in_frame: 0, out_frame: 70 },
    { id: "b", in_frame: 50, out_frame: 60 },
    { id: "c", in_frame: 80, out_frame: 90 },
  ];
  const to = (chosen: string | null, frame: number, by: 1 | -1) => neighbour(clips, chosen, frame, by)?.id;
  expect([to("a", 0, 1), to("c", 85, 1), to("b", 55, -1)]).toEqual(["b", undefined, "a"]);
  // Elsewhere it is the picture that counts.
  expect([to("c", 0, 1), to("a", 75, -1)]).toEqual(["b", "b"]);
  expect([to(null, 60, 1), to(null, 60, -1), to(null, 0, -1)]).toEqual(["c", "b", undefined]);
});

it("goes to the nearest subclip however the list is arranged", () => {
  const clip = (id: string, in_frame: number) => ({ id, in_frame, out_frame: in_frame + 10 });
  const clips = [clip("c", 300), clip("a", 100), clip("b", 200)];
  expect(neighbour(clips, null, 50, 1)?.id).toBe("a");
  expect(neighbour(clips, null, 400, -1)?.id).toBe("c");
  expect(neighbour(clips, "a", 105, 1)?.id).toBe("b");
});
