// Pure: what is left of a cluster's majority without a node.

import type { Node } from "../api/types";

export interface After {
  voters: number;
  /** Of them, those that are up now. */
  upAfter: number;
  /** For a majority. */
  needed: number;
}

export function afterRemoval(nodes: readonly Node[], name: string): After {
  const voters = nodes.filter((node) => node.role === "voter" && node.name !== name);
  return {
    voters: voters.length,
    upAfter: voters.filter(({ state }) => state === "up").length,
    needed: Math.floor(voters.length / 2) + 1,
  };
}
