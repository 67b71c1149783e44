// Jobs and nodes as queries, and what can be asked of them.

import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { usePolling } from "./queries";
import { cancelJob, listJobs, listNodes, retryJob, type JobFilter } from "./work";

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
