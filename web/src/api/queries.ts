// What the pages ask for, as queries; while the event stream is away they poll.

import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import {
  ApiError,
  cancelJob,
  deleteVideo,
  fetchVideo,
  listJobs,
  listNodes,
  listVideos,
  retryJob,
  type JobFilter,
  type VideoFilter,
} from "./client";
import { useConnection } from "./events";

const PAGE_SIZE = 60;
const POLL_MS = 4000;

/** How often to ask while no events come. */
function usePolling(): number | false {
  return useConnection() === "lost" ? POLL_MS : false;
}

export function retryUnlessRefused(count: number, error: Error): boolean {
  if (error instanceof ApiError && error.status >= 400 && error.status < 500) return false;
  return count < 2;
}

export function useVideos(filter: VideoFilter) {
  return useInfiniteQuery({
    queryKey: ["videos", filter],
    queryFn: ({ pageParam, signal }) => listVideos(filter, PAGE_SIZE, pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next_cursor,
    placeholderData: (old) => old,
    refetchInterval: usePolling(),
  });
}

export function useVideo(id: string) {
  return useQuery({
    queryKey: ["video", id],
    queryFn: ({ signal }) => fetchVideo(id, signal),
    refetchInterval: usePolling(),
  });
}

export function useJobs(filter: JobFilter) {
  return useInfiniteQuery({
    queryKey: ["jobs", filter],
    queryFn: ({ pageParam, signal }) => listJobs(filter, 100, pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next_cursor,
    placeholderData: (old) => old,
    refetchInterval: usePolling(),
  });
}

export function useNodes() {
  const polling = usePolling();
  return useQuery({
    queryKey: ["nodes"],
    queryFn: ({ signal }) => listNodes(signal),
    // Load and disk change all the time, with or without events.
    refetchInterval: polling || 10_000,
  });
}

function useRefreshing<Argument>(action: (argument: Argument) => Promise<unknown>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: action,
    onSettled: () => {
      void client.invalidateQueries({ queryKey: ["jobs"] });
      void client.invalidateQueries({ queryKey: ["videos"] });
      void client.invalidateQueries({ queryKey: ["video"] });
    },
  });
}

export function useRetryJobs() {
  return useRefreshing((ids: string[]) => Promise.all(ids.map(retryJob)));
}

export function useCancelJob() {
  return useRefreshing(cancelJob);
}

export function useDeleteVideo() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: deleteVideo,
    onSuccess: () => client.invalidateQueries({ queryKey: ["videos"] }),
  });
}
