import { expect, it } from "vitest";
import { paceOf } from "./pace";

const at = (second: number) => new Date(Date.UTC(2026, 10, 24, 12, 0, second)).toISOString();
const job = (part: object) => ({
  state: "running" as const,
  progress_permille: 0,
  created_at: at(0),
  started_at: at(10),
  finished_at: null,
  ...part,
});
const now = Date.parse(at(50));

it("says when running work ends, at the pace so far", () => {
  expect(paceOf(job({ progress_permille: 250 }), now)).toEqual({ seconds: 40, leftSeconds: 120 });
});

it("does not guess from too little", () => {
  expect(paceOf(job({ progress_permille: 10 }), now).leftSeconds).toBeNull();
  expect(paceOf(job({ progress_permille: 500 }), Date.parse(at(11))).leftSeconds).toBeNull();
});

it("counts how long it waits, and how long it took", () => {
  expect(paceOf(job({ state: "waiting", started_at: null }), now)).toEqual({
    seconds: 50,
    leftSeconds: null,
  });
  expect(paceOf(job({ state: "done", progress_permille: 1000, finished_at: at(31) }), now).seconds).toBe(21);
  expect(paceOf(job({ state: "cancelled", started_at: null }), now).seconds).toBe(0);
  // A node whose clock is ahead.
  expect(paceOf(job({}), Date.parse(at(0))).seconds).toBe(0);
});
