import { describe, expect, it } from "vitest";
import {
  canDrop,
  formatTimecode,
  frameAt,
  microseconds,
  middleOf,
  nominalRate,
  parseTimecode,
  timecodeAt,
  typedFrame,
} from "./timecode";

const NTSC = { num: 30000, den: 1001 };
const NTSC60 = { num: 60000, den: 1001 };
const FILM = { num: 24000, den: 1001 };
const PAL = { num: 25, den: 1 };
const RATES = [
  FILM,
  { num: 24, den: 1 },
  PAL,
  NTSC,
  { num: 30, den: 1 },
  { num: 50, den: 1 },
  NTSC60,
  { num: 120000, den: 1001 },
];

describe("timecode", () => {
  it("counts at the nominal rate and drops only at multiples of 29.97", () => {
    expect(RATES.map(nominalRate)).toEqual([24, 24, 25, 30, 30, 50, 60, 120]);
    expect(RATES.map(canDrop)).toEqual([false, false, false, true, false, false, true, true]);
  });

  it("skips two numbers a minute at 29.97, but not in the tenth (SMPTE ST 12-1)", () => {
    const at = (frame: number) => formatTimecode({ frame, drop: true }, NTSC);
    expect(at(1799)).toBe("00:00:59;29");
    expect(at(1800)).toBe("00:01:00;02");
    expect(at(17_981)).toBe("00:09:59;29");
    expect(at(17_982)).toBe("00:10:00;00");
    expect(at(107_892)).toBe("01:00:00;00");
  });

  it("skips four numbers a minute at 59.94", () => {
    const at = (frame: number) => formatTimecode({ frame, drop: true }, NTSC60);
    expect(at(3599)).toBe("00:00:59;59");
    expect(at(3600)).toBe("00:01:00;04");
    expect(at(35_964)).toBe("00:10:00;00");
  });

  it("goes round at midnight", () => {
    expect(formatTimecode({ frame: 86_400 * 25, drop: false }, PAL)).toBe("00:00:00:00");
    expect(formatTimecode({ frame: 107_892 * 24 - 1, drop: true }, NTSC)).toBe("23:59:59;29");
    expect(formatTimecode({ frame: 107_892 * 24, drop: true }, NTSC)).toBe("00:00:00;00");
  });

  it("reads back every frame that it writes, around each minute of an hour", () => {
    for (const rate of RATES) {
      for (const drop of canDrop(rate) ? [false, true] : [false]) {
        const nominal = nominalRate(rate);
        for (let minute = 0; minute <= 60; minute += 1) {
          for (let near = -3; near <= 3; near += 1) {
            const frame = Math.max(0, minute * 60 * nominal + near);
            expect(parseTimecode(formatTimecode({ frame, drop }, rate), rate)).toEqual({ frame, drop });
          }
        }
      }
    }
  });

  it("refuses what is no timecode", () => {
    for (const text of ["", "1:2:3:4", "00:00:00:25", "24:00:00:00", "00:60:00:00", "aa:00:00:00"]) {
      expect(parseTimecode(text, PAL)).toBeNull();
    }
    // Numbers that drop-frame skips do not exist.
    expect(parseTimecode("00:01:00;00", NTSC)).toBeNull();
    expect(parseTimecode("00:10:00;00", NTSC)).toEqual({ frame: 17_982, drop: true });
  });

  it("adds the frame to the source's start", () => {
    expect(timecodeAt(0, PAL, "10:00:00:00")).toBe("10:00:00:00");
    expect(timecodeAt(26, PAL, "10:00:00:00")).toBe("10:00:01:01");
    expect(timecodeAt(1800, NTSC, "01:00:00;00")).toBe("01:01:00;02");
    expect(timecodeAt(1800, NTSC, "01:00:00:00")).toBe("01:01:00:00");
    expect(timecodeAt(25, PAL, null)).toBe("00:00:01:00");
    expect(timecodeAt(25, PAL, "not a timecode")).toBe("00:00:01:00");
  });
});

describe("the media clock", () => {
  it("finds the frame at its start, middle and end, for a day at every rate", () => {
    for (const rate of RATES) {
      const day = 86_400 * nominalRate(rate);
      for (const frame of [0, 1, 2, 3, 29, 30, 1000, 12_345, 1_000_000, day - 2]) {
        const start = microseconds((frame * rate.den) / rate.num);
        expect(frameAt(start, rate, day)).toBe(frame);
        expect(frameAt(middleOf(frame, rate), rate, day)).toBe(frame);
        expect(frameAt(microseconds(((frame + 1) * rate.den) / rate.num) - 10, rate, day)).toBe(frame);
      }
    }
  });

  it("stays within the video", () => {
    expect(frameAt(10_000_000, PAL, 100)).toBe(99);
    expect(frameAt(0, PAL, 100)).toBe(0);
  });
});

describe("a typed place", () => {
  const start = "10:00:00:00";
  const go = (text: string, here = 50) => typedFrame(text, here, PAL, start, 1000);

  it("may be a whole timecode, its last parts, or digits from the right", () => {
    expect([go("10:00:02:05"), go("10:00:02.05"), go("10000205")]).toEqual([55, 55, 55]);
    expect(typedFrame("2:05", 0, PAL, null, 1000)).toBe(55);
    expect(typedFrame("205", 0, PAL, null, 1000)).toBe(55);
    expect(typedFrame("1:00:02", 0, NTSC, null, 9000)).toBe(1800);
  });

  it("may be frames from here", () => {
    expect([go("+12"), go("-50")]).toEqual([62, 0]);
  });

  it("is nothing where it lies outside or makes no sense", () => {
    for (const text of [
      "",
      "x",
      "09:59:59:24",
      "10:00:40:00",
      "-51",
      "+950",
      "10:00:00:25",
      "1:2:3:4:5",
      "+",
    ]) {
      expect(go(text), text).toBeNull();
    }
  });
});
