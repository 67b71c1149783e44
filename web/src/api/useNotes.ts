// Tags, bins and markers as queries.

import { useQuery } from "@tanstack/react-query";
import { fetchFacets, listMarkers } from "./notes";
import { usePolling } from "./queries";

export function useFacets(enabled = true) {
  return useQuery({
    queryKey: ["facets"],
    queryFn: ({ signal }) => fetchFacets(signal),
    refetchInterval: usePolling(),
    enabled,
  });
}

export function useMarkers(video: string, enabled: boolean) {
  return useQuery({
    queryKey: ["markers", video],
    queryFn: ({ signal }) => listMarkers(video, signal),
    refetchInterval: usePolling(),
    enabled,
  });
}
