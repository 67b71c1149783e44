// What the library asks for, as a query; while the event stream is away it polls.

import { useInfiniteQuery } from "@tanstack/react-query";
import { ApiError, listVideos } from "./client";
import type { VideoFilter } from "./filter";
import { isLive, useConnection } from "./events";

/** The first page is what a window shows; those behind it come in as large parts as a node gives. */
const FIRST_PAGE = 60;
const NEXT_PAGES = 200;
const POLL_MS = 4000;

/**
 * Whether a list is asked for anew when it is shown again. A long one is asked for page by page, and events keep it
 * true, so it is only while they do not come.
 */
export function askAgain(query: { state: { data: unknown } }): boolean {
  const pages = (query.state.data as { pages?: unknown[] } | undefined)?.pages?.length ?? 1;
  return !isLive() || pages <= LONG_PAGES;
}
const LONG_PAGES = 3;

/** How often to ask while no events come. */
export function usePolling(): number | false {
  return useConnection() === "lost" ? POLL_MS : false;
}

export function retryUnlessRefused(count: number, error: Error): boolean {
  if (error instanceof ApiError && error.status >= 400 && error.status < 500) return false;
  return count < 2;
}

export function useVideos(filter: VideoFilter) {
  const polling = usePolling();
  return useInfiniteQuery({
    queryKey: ["videos", filter],
    queryFn: ({ pageParam, signal }) =>
      listVideos(filter, pageParam === null ? FIRST_PAGE : NEXT_PAGES, pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next_cursor,
    placeholderData: (old) => old,
    // Asking again asks for every page that was loaded.
    refetchInterval: ({ state }) => polling && polling * Math.max(1, state.data?.pages.length ?? 1),
  });
}
