import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Granted, underGrant } from "./grant";

const NEW = "/hls/s/2.1800000000.sig/";

test("a plain address, one under an older grant and one of a CDN all go under the new grant", () => {
  expect(underGrant("/hls/v/g/master.m3u8", NEW)).toBe(`${NEW}v/g/master.m3u8`);
  expect(underGrant("/hls/s/1.5.old/v/g/720p/a-1.m4s", NEW)).toBe(`${NEW}v/g/720p/a-1.m4s`);
  expect(underGrant("http://h:1/hls/s/1.5.old/v/g/clips/1-2/master.m3u8", NEW)).toBe(
    `${NEW}v/g/clips/1-2/master.m3u8`,
  );
  expect(underGrant("https://cdn.example.com/reel/hls/v/g/a.m4s", `https://cdn.example.com/reel${NEW}`)).toBe(
    `https://cdn.example.com/reel${NEW}v/g/a.m4s`,
  );
  expect(underGrant("blob:nothing", NEW)).toBe("blob:nothing");
});

beforeEach(() => vi.useFakeTimers({ now: 0 }));
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("a grant is renewed while it plays, also after a failure, and not any more once stopped", async () => {
  const at = (ms: number) => new Date(ms).toISOString();
  const grant = (name: string, renew: number) => ({
    hls_url: null,
    prefix: `/hls/s/${name}/`,
    expires_at: at(renew * 2),
    renew_at: at(renew),
  });
  const answers = [
    () => Promise.reject(new TypeError("no network")),
    () => Promise.resolve(Response.json(grant("b", 200_000))),
    () => Promise.resolve(Response.json(grant("c", 400_000))),
  ];
  const asked = vi.fn(() => answers[asked.mock.calls.length - 1]!());
  vi.stubGlobal("fetch", asked);
  const granted = new Granted("v", grant("a", 60_000));
  expect(granted.url("/hls/v/x")).toBe("/hls/s/a/v/x");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(granted.url("/hls/v/x")).toBe("/hls/s/a/v/x");
  await vi.advanceTimersByTimeAsync(15_000);
  expect(granted.url("/hls/s/a/v/x")).toBe("/hls/s/b/v/x");
  await vi.advanceTimersByTimeAsync(125_000);
  expect(granted.url("/hls/s/a/v/x")).toBe("/hls/s/c/v/x");
  granted.stop();
  await vi.advanceTimersByTimeAsync(1_000_000);
  expect(asked).toHaveBeenCalledTimes(3);
});
