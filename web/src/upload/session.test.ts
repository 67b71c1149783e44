import { describe, expect, it } from "vitest";
import {
  CHECK_MS,
  isRetryable,
  isStalled,
  openSession,
  permille,
  rate,
  retryDelayMs,
  secondsLeft,
  STALL_MS,
  startable,
  step,
  type Event,
  type Session,
} from "./session";

const run = (events: Event[], from = openSession("a", "reel.mov", 10_000_000)) => events.reduce(step, from);
const start: Event = { kind: "start", atMs: 0 };
const progress = (atMs: number, sentBytes: number): Event => ({ kind: "progress", atMs, sentBytes });
const broke = (atMs: number, retryable = true): Event => ({
  kind: "broke",
  atMs,
  problem: "The line broke.",
  retryable,
});

describe("an upload", () => {
  it("goes from its place in the queue to done", () => {
    const session = run([start, progress(1000, 4_000_000), { kind: "finish", videoId: "v" }]);
    expect(session).toMatchObject({ phase: "done", sentBytes: 10_000_000, videoId: "v", problem: null });
    expect(permille(session)).toBe(1000);
  });

  it("waits longer after each failure in a row, and no longer after progress", () => {
    let session = run([start, broke(1000)]);
    expect(session).toMatchObject({
      phase: "waiting",
      failures: 1,
      retryAtMs: 2000,
      problem: "The line broke.",
    });
    session = run([{ kind: "start", atMs: 2000 }, broke(3000)], session);
    expect(session).toMatchObject({ phase: "waiting", failures: 2, retryAtMs: 5000 });
    session = run([{ kind: "start", atMs: 5000 }, progress(6000, 10), broke(7000)], session);
    expect(session).toMatchObject({ failures: 1, retryAtMs: 8000 });
    expect([1, 2, 3, 4, 5, 6, 7, 99].map(retryDelayMs)).toEqual([
      1000, 2000, 4000, 8000, 15_000, 30_000, 30_000, 30_000,
    ]);
  });

  it("does not try again what was refused for good", () => {
    expect([null, 0, 500, 503, 409, 423, 429].every(isRetryable)).toBe(true);
    expect([400, 403, 404, 410, 413, 415].some(isRetryable)).toBe(false);
    expect(run([start, broke(1000, false)])).toMatchObject({ phase: "failed", retryAtMs: null });
  });

  it("pauses and goes on, whatever comes late", () => {
    const paused = run([start, progress(500, 1000), { kind: "pause" }]);
    expect(paused.phase).toBe("paused");
    // The request was still on its way when it was stopped.
    expect(run([progress(600, 2000), broke(700)], paused)).toEqual(paused);
    expect(run([{ kind: "resume" }], paused)).toMatchObject({
      phase: "queued",
      failures: 0,
      sentBytes: 1000,
    });
  });

  it("is done even if the answer comes while it is paused", () => {
    expect(run([start, { kind: "pause" }, { kind: "finish", videoId: null }]).phase).toBe("done");
  });

  it("goes back to the node's offset, and measures anew from there", () => {
    const session = run([
      start,
      progress(1000, 8_000_000),
      progress(1100, 2_000_000),
      progress(2100, 3_000_000),
    ]);
    expect(session.sentBytes).toBe(3_000_000);
    expect(rate(session)).toBe(1_000_000);
  });

  it("never shows more than the file has", () => {
    expect(permille(run([start, progress(1000, 11_000_000)]))).toBe(1000);
    expect(permille(openSession("a", "empty", 0))).toBe(0);
  });
});

describe("the rate", () => {
  it("is that of the last seconds", () => {
    let session = run([start]);
    for (let second = 1; second <= 20; second += 1) {
      session = step(
        session,
        progress(second * 1000, second <= 10 ? second * 100_000 : 1_000_000 + (second - 10) * 500_000),
      );
    }
    expect(rate(session)).toBe(500_000);
    expect(secondsLeft(session)).toBe(8);
  });

  it("keeps few samples however often progress comes", () => {
    let session = run([start], openSession("a", "b", 1_000_000));
    for (let ms = 1; ms <= 20_000; ms += 5) session = step(session, progress(ms, ms));
    expect(session.samples.length).toBeLessThan(40);
    expect(rate(session)).toBe(1000);
  });

  it("is unknown at first and while nothing is sent", () => {
    expect(rate(run([start, progress(100, 100)]))).toBeNull();
    expect(rate(run([start, progress(2000, 100), { kind: "pause" }]))).toBeNull();
    expect(secondsLeft(run([start]))).toBeNull();
  });
});

describe("the queue", () => {
  it("sees a line that has gone dead", () => {
    const session = run([start, progress(1000, 5)]);
    expect(isStalled(session, 1000 + STALL_MS - 1)).toBe(false);
    expect(isStalled(session, 1000 + STALL_MS)).toBe(true);
    expect(isStalled(run([{ kind: "pause" }], session), 10 * STALL_MS)).toBe(false);
  });

  it("gives the node time to check a file that is out", () => {
    const session = run([start, progress(1000, 10_000_000)]);
    expect(isStalled(session, 1000 + STALL_MS)).toBe(false);
    expect(isStalled(session, 1000 + CHECK_MS)).toBe(true);
  });

  it("starts only as many as may send at once, and a waiting one when its time has come", () => {
    const session = (key: string, events: Event[]): Session => run(events, openSession(key, key, 10));
    const sessions = [
      session("a", [start]),
      session("b", [start, broke(0)]),
      session("c", []),
      session("d", []),
    ];
    const keys = (nowMs: number) => startable(sessions, nowMs, 3).map(({ key }) => key);
    expect(keys(999)).toEqual(["c", "d"]);
    expect(keys(1000)).toEqual(["b", "c"]);
    expect(startable(sessions, 1000, 1)).toEqual([]);
  });
});
