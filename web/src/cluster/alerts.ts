// Pure: what an admin should look at, in words: what is wrong, and what to do.

import type { Node } from "../api/types";
import { ago, bytes, percent } from "../lib/format";
import { ALERTS } from "../strings/nodes";

export interface Alert {
  key: string;
  tone: "bad" | "warn";
  text: string;
  todo: string;
}

/** Shares of the disk that are taken, from which it is said. */
const DISK_FULL_PERMILLE = 950;
const DISK_NARROW_PERMILLE = 900;
/** A node that is this far behind does not just take a breath. */
const LAG_ENTRIES = 1000;

/** The worst first. */
export function alertsFor(nodes: readonly Node[], nowMs: number): Alert[] {
  const alerts: Alert[] = [];
  const add = (tone: Alert["tone"], key: string, text: string, todo: string) =>
    alerts.push({ key, tone, text, todo });
  const isUp = ({ state }: Node) => state === "up";

  const voters = nodes.filter(({ role }) => role === "voter");
  const up = voters.filter(isUp).length;
  const needed = Math.floor(voters.length / 2) + 1;
  if (voters.length > 0 && up < needed) {
    add("bad", "majority", ALERTS.noMajority(up, voters.length, needed), ALERTS.noMajorityDo);
  } else if (nodes.length > 0 && !nodes.some((node) => node.leader && isUp(node))) {
    add("bad", "leader", ALERTS.noLeader, ALERTS.noLeaderDo);
  } else if (up === needed && up < voters.length) {
    add("warn", "thin", ALERTS.thin(needed, voters.length), ALERTS.thinDo);
  }

  for (const node of nodes) {
    const { name } = node;
    if (!isUp(node)) {
      const text = node.seen_at ? ALERTS.away(name, ago(node.seen_at, nowMs)) : ALERTS.awayUnseen(name);
      add("bad", `away-${name}`, text, ALERTS.awayDo(name));
      // What else it last said of itself is old.
      continue;
    }
    const { disk_total_bytes: disk, disk_free_bytes: free } = node;
    if (disk && free !== null) {
      const taken = Math.floor(((disk - free) * 1000) / disk);
      if (taken >= DISK_NARROW_PERMILLE) {
        const tone = taken >= DISK_FULL_PERMILLE ? "bad" : "warn";
        add(tone, `disk-${name}`, ALERTS.disk(name, bytes(free), percent(1000 - taken)), ALERTS.diskDo);
      }
    }
    if (node.encoders.length === 0 && node.slots > 0) {
      add("warn", `encoder-${name}`, ALERTS.noEncoder(name), ALERTS.noEncoderDo);
    }
    if (node.sandbox !== "full") {
      add("warn", `sandbox-${name}`, ALERTS.sandbox(name, node.sandbox), ALERTS.sandboxDo);
    }
    if (node.lag >= LAG_ENTRIES) add("warn", `lag-${name}`, ALERTS.lag(name, node.lag), ALERTS.lagDo);
  }

  const versions = [...new Set(nodes.filter(isUp).map(({ version }) => version))].sort();
  if (versions.length > 1) add("warn", "versions", ALERTS.versions(versions), ALERTS.versionsDo);
  const weight = ({ key, tone }: Alert) =>
    tone === "warn" ? 3 : key.startsWith("away-") ? 1 : key.startsWith("disk-") ? 2 : 0;
  return alerts.sort((a, b) => weight(a) - weight(b));
}

/** The nodes by site, sites by name, and in each the leader first. */
export function bySite(nodes: readonly Node[]): [site: string, nodes: Node[]][] {
  const sites = new Map<string, Node[]>();
  for (const node of nodes) sites.set(node.site, [...(sites.get(node.site) ?? []), node]);
  const order = (a: Node, b: Node) => Number(b.leader) - Number(a.leader) || (a.name < b.name ? -1 : 1);
  return [...sites]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([site, members]) => [site, members.sort(order)]);
}
