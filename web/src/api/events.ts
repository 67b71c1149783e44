// One stream of server-sent events for the whole page, which patches the query cache.
//
// Events wake, the API decides: after a gap everything shown is fetched anew, and while the stream is away
// the queries poll.

import { useSyncExternalStore } from "react";
import type { InfiniteData, QueryClient, QueryKey } from "@tanstack/react-query";
import { EVENTS_URL } from "./client";
import { belongs, type VideoFilter } from "./filter";
import type { Clip, EventData, Job, Marker, Node, Page, Video } from "./types";

export type Connection = "connecting" | "live" | "lost";

let connection: Connection = "connecting";
const listeners = new Set<() => void>();

function become(next: Connection) {
  if (next === connection) return;
  connection = next;
  for (const listener of listeners) listener();
}

export function useConnection(): Connection {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => connection,
  );
}

export function isLive(): boolean {
  return connection === "live";
}

type Infinite<T> = InfiniteData<Page<T>, string | null>;

/** The pages with `item` in the place of its older self, or `null` if it is on none of them. */
export function replaced<T extends { id: string }>(data: Infinite<T>, item: T): Infinite<T> | null {
  let found = false;
  const pages = data.pages.map((page) => {
    const at = page.items.findIndex((old) => old.id === item.id);
    if (at < 0) return page;
    found = true;
    return { ...page, items: page.items.with(at, item) };
  });
  return found ? { ...data, pages } : null;
}

/** The pages without the item `id`. */
export function removed<T extends { id: string }>(data: Infinite<T>, id: string): Infinite<T> {
  const had = data.pages.some((page) => page.items.some((item) => item.id === id));
  if (!had) return data;
  return {
    ...data,
    pages: data.pages.map((page) => ({
      ...page,
      items: page.items.filter((item) => item.id !== id),
      total: Math.max(0, page.total - 1),
    })),
  };
}

/**
 * The list after a video was made or changed. `null` says that only the node knows where the video stands now.
 * Most events are settled here: a list of thousands is not fetched anew for every one of them.
 */
export function placed(data: Infinite<Video>, filter: VideoFilter, video: Video): Infinite<Video> | null {
  const { sort } = filter;
  const wanted = belongs(video, filter);
  const old = data.pages.flatMap((page) => page.items).find(({ id }) => id === video.id);
  if (old && !wanted) return removed(data, video.id);
  if (!wanted) return data;
  if (old) {
    const moved =
      (sort.endsWith("filename") && old.filename !== video.filename) ||
      (sort.endsWith("duration") && old.duration_frames !== video.duration_frames);
    return moved ? null : replaced(data, video);
  }
  const first = data.pages[0]?.items[0];
  if (sort !== "-created_at" || (first && first.created_at > video.created_at)) return null;
  return {
    ...data,
    pages: data.pages.map((page, index) => ({
      ...page,
      items: index === 0 ? [video, ...page.items] : page.items,
      total: page.total + 1,
    })),
  };
}

/** The video with this subclip where it was, or at the end; its own event says where a new one stands. */
export function withClip(video: Video, clip: Clip): Video {
  const clips = video.clips ?? [];
  const at = clips.findIndex(({ id }) => id === clip.id);
  return { ...video, clips: at < 0 ? [...clips, clip] : clips.with(at, clip) };
}

export function withoutClip(video: Video, id: string): Video {
  return { ...video, clips: (video.clips ?? []).filter((clip) => clip.id !== id) };
}

/** Changes a video wherever it is in the cache. */
export function changeVideo(client: QueryClient, id: string, change: (video: Video) => Video) {
  client.setQueryData<Video>(["video", id], (video) => video && change(video));
  for (const [key, data] of client.getQueriesData<Infinite<Video>>({ queryKey: ["videos"] })) {
    const old = data?.pages.flatMap((page) => page.items).find((video) => video.id === id);
    const next = data && old && replaced(data, change(old));
    if (next) patch(client, key, next);
  }
}

/** Changes the markers of a video, if they are known. */
export function changeMarkers(client: QueryClient, video: string, change: (markers: Marker[]) => Marker[]) {
  client.setQueryData<Page<Marker>>(["markers", video], (page) => {
    if (!page) return page;
    const items = change(page.items);
    return { ...page, items, total: items.length };
  });
}

/** The markers with this one in its place, which is that of its first picture. */
export function withMarker(markers: readonly Marker[], marker: Marker): Marker[] {
  const others = markers.filter(({ id }) => id !== marker.id);
  return [...others, marker].sort(
    (a, b) => a.in_frame - b.in_frame || a.out_frame - b.out_frame || (a.id < b.id ? -1 : 1),
  );
}

/** Puts data into the cache; what was due to be fetched anew stays due, which `setQueryData` alone forgets. */
function patch(client: QueryClient, queryKey: QueryKey, data: unknown) {
  const due = client.getQueryState(queryKey)?.isInvalidated ?? false;
  client.setQueryData(queryKey, data);
  if (due) void client.invalidateQueries({ queryKey, exact: true, refetchType: "none" });
}

/** Refetches a kind of list soon, at most once a second however many events ask for it. */
function refresher(client: QueryClient) {
  const due = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  return (key: string) => {
    due.add(key);
    timer ??= setTimeout(() => {
      timer = undefined;
      for (const each of due) void client.invalidateQueries({ queryKey: [each] });
      due.clear();
    }, 1000);
  };
}

/** Applies one event to the cache. */
export function applyEvents(client: QueryClient) {
  const refresh = refresher(client);
  return {
    video(video: Video) {
      client.setQueryData(["video", video.id], video);
      for (const [key, data] of client.getQueriesData<Infinite<Video>>({ queryKey: ["videos"] })) {
        if (!data) continue;
        const next = placed(data, key[1] as VideoFilter, video);
        if (next === null) refresh("videos");
        else if (next !== data) patch(client, key, next);
      }
    },
    video_deleted({ id }: EventData["video_deleted"]) {
      client.removeQueries({ queryKey: ["jobs", { video: id }] });
      for (const [key, data] of client.getQueriesData<Infinite<Video>>({ queryKey: ["videos"] })) {
        if (data) patch(client, key, removed(data, id));
      }
      void client.invalidateQueries({ queryKey: ["video", id] });
    },
    clip(clip: Clip) {
      if (!clip.video_id) return refresh("video");
      changeVideo(client, clip.video_id, (video) => withClip(video, clip));
    },
    clip_deleted({ id, video_id }: EventData["clip_deleted"]) {
      if (video_id) return changeVideo(client, video_id, (video) => withoutClip(video, id));
      refresh("video");
      refresh("videos");
    },
    marker(marker: Marker) {
      changeMarkers(client, marker.video_id, (markers) => withMarker(markers, marker));
    },
    marker_deleted({ id, video_id }: EventData["marker_deleted"]) {
      changeMarkers(client, video_id, (markers) => markers.filter((marker) => marker.id !== id));
    },
    bins() {
      refresh("facets");
      // What a bin that is gone held is in no list of its own any more.
      for (const query of client.getQueryCache().findAll({ queryKey: ["videos"] }))
        if ((query.queryKey[1] as VideoFilter).bin) refresh("videos");
    },
    job(job: Job) {
      for (const [key, data] of client.getQueriesData<Infinite<Job>>({ queryKey: ["jobs"] })) {
        if (!data) continue;
        const filter = key[1] as { video?: string; state?: string | null };
        if (filter.video && filter.video !== job.video) continue;
        const next = replaced(data, job);
        if (next && (!filter.state || filter.state === job.state)) patch(client, key, next);
        else if (next || !filter.state || filter.state === job.state) refresh("jobs");
      }
    },
    node(node: Node) {
      client.setQueryData<Page<Node>>(["nodes"], (page) => {
        if (!page) return page;
        const at = page.items.findIndex((old) => old.id === node.id);
        const items = at < 0 ? [...page.items, node] : page.items.with(at, node);
        return { ...page, items, total: items.length };
      });
    },
    reset() {
      void client.invalidateQueries();
    },
  } satisfies { [Name in keyof EventData]: (data: EventData[Name]) => void };
}

/** A page that has not been looked at for so long gives its connection back. */
const REST_MS = 30_000;

/**
 * Follows the events until the returned function is called.
 *
 * A browser opens six connections to one host and no more, over HTTP/1.1. Each page that follows holds one, so those
 * that nobody sees let go of it: left pages at once, tabs in the background after a while.
 */
export function followEvents(client: QueryClient): () => void {
  const apply = applyEvents(client);
  let source: EventSource | undefined;
  let again: ReturnType<typeof setTimeout> | undefined;
  let rest: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let stopped = false;
  let missed = false;

  const open = () => {
    if (stopped || (source && source.readyState !== EventSource.CLOSED)) return;
    source = new EventSource(EVENTS_URL);
    source.onopen = () => {
      failures = 0;
      become("live");
      if (missed) void client.invalidateQueries();
      missed = false;
    };
    source.onerror = () => {
      missed = true;
      become("lost");
      // The browser tries again by itself unless it was told no; then we do, ever more slowly.
      if (source?.readyState === EventSource.CLOSED) {
        clearTimeout(again);
        again = setTimeout(open, Math.min(30_000, 1000 * 2 ** failures++));
      }
    };
    for (const name of Object.keys(apply) as (keyof EventData)[]) {
      source.addEventListener(name, (event) => {
        try {
          (apply[name] as (data: unknown) => void)(JSON.parse((event as MessageEvent<string>).data));
        } catch {
          void client.invalidateQueries();
        }
      });
    }
  };
  const close = () => {
    clearTimeout(again);
    source?.close();
    missed = true;
    become("connecting");
  };
  const look = () => {
    clearTimeout(rest);
    if (document.visibilityState === "hidden") rest = setTimeout(close, REST_MS);
    else open();
  };
  open();
  addEventListener("pagehide", close);
  addEventListener("pageshow", look);
  document.addEventListener("visibilitychange", look);
  return () => {
    stopped = true;
    clearTimeout(rest);
    close();
    removeEventListener("pagehide", close);
    removeEventListener("pageshow", look);
    document.removeEventListener("visibilitychange", look);
  };
}
