import { expect, it } from "vitest";
import type { Node } from "../api/types";
import { alertsFor, bySite } from "./alerts";

const NOW = Date.parse("2026-11-24T12:00:00Z");
const node = (name: string, part: Partial<Node> = {}): Node => ({
  id: name.charCodeAt(0),
  name,
  site: "studio",
  role: "voter",
  member: "voter",
  address: "10.0.0.1:7443",
  draining: false,
  sole_originals: null,
  leader: name === "a",
  version: "0.1.0",
  state: "up",
  seen_at: "2026-11-24T11:57:00Z",
  lag: 0,
  slots: 2,
  slots_busy: 0,
  cpu_cores: 8,
  cpu_permille: 100,
  memory_total_bytes: 8e9,
  memory_used_bytes: 1e9,
  disk_total_bytes: 1e12,
  disk_free_bytes: 5e11,
  encoders: ["x264enc"],
  sandbox: "full",
  watches: null,
  ...part,
});
const keys = (...nodes: Node[]) => alertsFor(nodes, NOW).map(({ key, tone }) => `${tone} ${key}`);

it("says nothing where nothing is wrong", () => {
  expect(keys(node("a"))).toEqual([]);
  expect(keys(node("a"), node("b"), node("c"))).toEqual([]);
  expect(keys()).toEqual([]);
});

it("says who is away since when, and what that means for the majority", () => {
  const away: Partial<Node> = { state: "away" };
  expect(keys(node("a"), node("b"), node("c", away))).toEqual(["bad away-c", "warn thin"]);
  expect(keys(node("a"), node("b", away), node("c", away))).toEqual([
    "bad majority",
    "bad away-b",
    "bad away-c",
  ]);
  expect(keys(node("a"), node("w", { ...away, role: "worker" }))).toEqual(["bad away-w"]);
  expect(alertsFor([node("a"), node("b", away)], NOW).find(({ key }) => key === "away-b")?.text).toBe(
    "b is away; it was last heard of 3 min ago.",
  );
});

it("misses a leader only where there could be one", () => {
  expect(keys(node("b"), node("c"), node("d"))).toEqual(["bad leader"]);
});

it("sees a disk that fills up, and says it louder near its end", () => {
  expect(keys(node("a", { disk_free_bytes: 1.01e11 }))).toEqual([]);
  expect(keys(node("a", { disk_free_bytes: 1e11 }))).toEqual(["warn disk-a"]);
  expect(keys(node("a", { disk_free_bytes: 4e10 }))).toEqual(["bad disk-a"]);
  expect(keys(node("a", { disk_free_bytes: null }))).toEqual([]);
});

it("sees what keeps a node from its work", () => {
  expect(
    keys(node("a", { encoders: [], sandbox: "no landlock", lag: 5000 }), node("b", { version: "0.2.0" })),
  ).toEqual(["warn encoder-a", "warn sandbox-a", "warn lag-a", "warn versions"]);
  expect(keys(node("a", { draining: true }))).toEqual(["warn draining-a"]);
  expect(keys(node("a", { encoders: [], slots: 0 }))).toEqual([]);
  // The last words of a node that is away are not news.
  expect(keys(node("a"), node("w", { role: "worker", state: "away", encoders: [] }))).toEqual(["bad away-w"]);
});

it("puts nodes together by site, the leader first", () => {
  const sites = bySite([node("z", { site: "home" }), node("b"), node("a"), node("c", { site: "home" })]);
  expect(sites.map(([site, nodes]) => [site, nodes.map(({ name }) => name)])).toEqual([
    ["home", ["c", "z"]],
    ["studio", ["a", "b"]],
  ]);
});
