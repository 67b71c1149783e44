import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { removeSoon } from "./removal";
import { actOnLatest, hold } from "./toasts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.runOnlyPendingTimers();
  vi.useRealTimers();
});

const sent: string[] = [];
const wish = (ids: string[], send = (id: string) => Promise.resolve(sent.push(id))) => ({
  ids,
  send,
  text: "gone",
  undo: "Undo",
  failed: "It could not be deleted.",
});

it("deletes only when the notice has passed", async () => {
  sent.length = 0;
  removeSoon(wish(["a", "b"]));
  await vi.advanceTimersByTimeAsync(7000);
  expect(sent).toEqual([]);
  await vi.advanceTimersByTimeAsync(2000);
  expect(sent).toEqual(["a", "b"]);
});

it("deletes nothing after an undo", async () => {
  sent.length = 0;
  removeSoon(wish(["a"]));
  expect(actOnLatest()).toBe(true);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(sent).toEqual([]);
  expect(actOnLatest()).toBe(false);
});

it("waits while somebody points at the notice", async () => {
  sent.length = 0;
  removeSoon(wish(["a"]));
  hold(true);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(sent).toEqual([]);
  hold(false);
  await vi.advanceTimersByTimeAsync(9000);
  expect(sent).toEqual(["a"]);
});
