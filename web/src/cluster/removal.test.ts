import { expect, it } from "vitest";
import type { Node } from "../api/types";
import { afterRemoval } from "./removal";

const node = (name: string, role = "voter", state = "up") => ({ name, role, state }) as Node;

it("says who is left to decide", () => {
  const nodes = [node("a"), node("b"), node("c", "voter", "away"), node("w", "worker")];
  expect(afterRemoval(nodes, "b")).toEqual({ voters: 2, upAfter: 1, needed: 2 });
  expect(afterRemoval(nodes, "c")).toEqual({ voters: 2, upAfter: 2, needed: 2 });
  expect(afterRemoval(nodes, "w")).toEqual({ voters: 3, upAfter: 2, needed: 2 });
  expect(afterRemoval([node("a")], "a")).toEqual({ voters: 0, upAfter: 0, needed: 1 });
});
