import { expect, it } from "vitest";
import { QueryClient } from "@tanstack/react-query";
import { applyEvents, removed, replaced } from "./events";
import type { Node, Video } from "./types";

const item = (id: string, status = "ready") => ({ id, status }) as Video;
const pages = (...lists: Video[][]) => ({
  pages: lists.map((items) => ({ items, next_cursor: null, total: 3 })),
  pageParams: [null],
});

it("puts the newer video in the place of the older, on whichever page", () => {
  const data = replaced(pages([item("a")], [item("b"), item("c")]), item("c", "failed"));
  expect(data?.pages[1]?.items.map(({ status }) => status)).toEqual(["ready", "failed"]);
  expect(replaced(pages([item("a")]), item("x"))).toBeNull();
});

it("takes a deleted video out and counts one less", () => {
  const data = removed(pages([item("a"), item("b")]), "a");
  expect(data.pages[0]).toMatchObject({ items: [{ id: "b" }], total: 2 });
  const same = pages([item("a")]);
  expect(removed(same, "x")).toBe(same);
});

it("patches the lists and the single video of the cache", () => {
  const client = new QueryClient();
  const all = ["videos", { status: null, q: "", sort: "-created_at" }];
  client.setQueryData(all, pages([item("a", "rendering")]));
  const apply = applyEvents(client);
  apply.video(item("a", "ready"));
  expect(client.getQueryData(["video", "a"])).toMatchObject({ status: "ready" });
  expect(client.getQueryData<ReturnType<typeof pages>>(all)?.pages[0]?.items[0]).toMatchObject({
    status: "ready",
  });
  apply.video_deleted({ id: "a" });
  expect(client.getQueryData<ReturnType<typeof pages>>(all)?.pages[0]?.items).toEqual([]);
});

it("adds a node that joins and changes one that is known", () => {
  const client = new QueryClient();
  client.setQueryData(["nodes"], { items: [{ id: 1, state: "up" }], next_cursor: null, total: 1 });
  const apply = applyEvents(client);
  apply.node({ id: 1, state: "away" } as Node);
  apply.node({ id: 2, state: "up" } as Node);
  expect(client.getQueryData(["nodes"])).toMatchObject({
    items: [{ id: 1, state: "away" }, { id: 2 }],
    total: 2,
  });
});

it("keeps a list due for fetching when another of its videos changes first", async () => {
  const client = new QueryClient();
  const all = ["videos", { status: null, q: "", sort: "-created_at" }];
  client.setQueryData(all, pages([item("a", "rendering")]));
  await client.invalidateQueries({ queryKey: all });
  applyEvents(client).video(item("a", "ready"));
  expect(client.getQueryState(all)?.isInvalidated).toBe(true);
});
