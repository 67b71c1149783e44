// One video, and what its node can do with it, as queries.

import { useQuery } from "@tanstack/react-query";
import { usePolling } from "./queries";
import { describedPaths, fetchVideo } from "./videos";

export function useVideo(id: string) {
  return useQuery({
    queryKey: ["video", id],
    queryFn: ({ signal }) => fetchVideo(id, signal),
    refetchInterval: usePolling(),
  });
}

/** What the node offers of the API, by its own description. */
export interface Offers {
  clips: boolean;
  exports: boolean;
  /** Of several videos as one file. */
  exportsMany: boolean;
  /** Tags and bins. */
  labels: boolean;
  /** Markers with comments. */
  markers: boolean;
  /** Other machines can be taken in. */
  cluster: boolean;
}

/** `null` until it is known. A node that does not describe itself is taken to offer everything. */
export function useOffers(): Offers | null {
  const { data, isError } = useQuery({
    queryKey: ["offers"],
    queryFn: ({ signal }) => describedPaths(signal),
    staleTime: 5 * 60_000,
  });
  if (isError)
    return { clips: true, exports: true, exportsMany: false, labels: false, markers: false, cluster: true };
  if (!data) return null;
  const has = (path: RegExp) => data.some((each) => path.test(each));
  return {
    clips: has(/\/videos\/\{\w+\}\/clips$/),
    exports: has(/\/videos\/\{\w+\}\/export$/),
    exportsMany: data.includes("/api/v1/export"),
    labels: data.includes("/api/v1/labels"),
    markers: has(/\/videos\/\{\w+\}\/markers$/),
    cluster: has(/\/nodes\/\{\w+\}\/drain$|\/(tokens?|join)$/),
  };
}
