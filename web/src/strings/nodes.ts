// What is said about the cluster.

import { count } from "../lib/format";

const list = (names: readonly string[]) => names.join(", ");

export const NODES = {
  title: "Nodes",
  nodes: (number: number) => count(number, "node"),
  cannotShow: "The nodes cannot be shown",
  alerts: "What to look at",
  calm: "Everything is as it should be.",
  upOf: (up: number, all: number) => (up === all ? `${count(all, "node")}, up` : `${up} of ${all} up`),
  up: "Up",
  away: "Away",
  leader: "Leader",
  leaderNote: "Gives out the work and writes down what happens. Any voter can take over.",
  roles: { voter: "Voter", learner: "Learner", worker: "Worker" } as Record<string, string>,
  roleNotes: {
    voter: "Holds the catalogue and votes on who leads.",
    learner: "Holds the catalogue and does not vote.",
    worker: "Renders and holds no catalogue.",
  } as Record<string, string>,
  version: (version: string) => `version ${version}`,
  seen: (ago: string) => `last heard of ${ago}`,
  jobs: "Jobs",
  slots: (busy: number, all: number) => `${busy} of ${count(all, "slot")}`,
  processor: "Processor",
  cores: (percent: string, cores: number) => `${percent} of ${count(cores, "core")}`,
  memory: "Memory",
  of: (part: string, whole: string) => `${part} of ${whole}`,
  disk: "Disk",
  free: (free: string, whole: string) => `${free} free of ${whole}`,
  encoders: "Renders with",
  noEncoders: "Nothing: this node does not render",
  sandbox: "Confinement",
  sandboxFull: "Full",
  behind: "Behind by",
  entries: (number: number) => (number === 1 ? "1 entry" : `${number} entries`),
} as const;

export const ALERTS = {
  noMajority: (up: number, voters: number, needed: number) =>
    `Only ${up} of ${voters} voters ${up === 1 ? "is" : "are"} up, and ${needed} make the majority: until then nothing can be changed and no work is given out.`,
  noMajorityDo:
    "Start the voters that are away, or mend their network. Nothing that was stored is lost; what is ready still plays.",
  noLeader: "The cluster has no leader just now.",
  noLeaderDo:
    "It chooses one by itself within seconds. If this stays, look at the clocks and the network of the voters.",
  away: (name: string, ago: string) => `${name} is away; it was last heard of ${ago}.`,
  awayUnseen: (name: string) => `${name} is away and has not been heard of since this node started.`,
  awayDo: (name: string) =>
    `Its work goes to other nodes by itself. Start it there with reelmesh serve --config cluster.toml --node ${name}, or look at its log and its network.`,
  thin: (needed: number, voters: number) => `All that is up is needed: ${needed} of ${voters} voters.`,
  thinDo: "If one more goes away, nothing can be changed. Bring back the one that is away.",
  disk: (name: string, free: string, percent: string) => `${name} has ${free} of disk left, ${percent}.`,
  diskDo:
    "Delete videos that nobody needs or give it a larger disk: a node whose disk is full takes no uploads and renders nothing.",
  noEncoder: (name: string) => `${name} renders nothing: none of its encoders passed its test.`,
  noEncoderDo: "Install GStreamer's x264 or openh264 plugin there and start it again, or give it no slots.",
  sandbox: (name: string, what: string) => `Media workers on ${name} are not fully confined: ${what}.`,
  sandboxDo: "A newer kernel confines them fully; until then render only files that you trust there.",
  lag: (name: string, entries: number) =>
    `${name} is ${count(entries, "entry").replace("entrys", "entries")} behind.`,
  lagDo: "It catches up by itself; if it does not, look at its disk and its network.",
  versions: (versions: readonly string[]) => `The nodes run different versions: ${list(versions)}.`,
  versionsDo: "Bring all of them to the same version.",
} as const;

export const ADD_NODE = {
  title: "Add a node",
  why: "The same cluster.toml serves every machine, and every machine runs the same program.",
  steps: [
    "Write one more block into cluster.toml:",
    "Copy the file to every machine of the cluster.",
    "Start the program there:",
  ],
  alone: "This node runs alone, and its version does not offer to take other machines in.",
  after: "It appears on this page when it has found the others.",
  copy: "Copy",
  copied: "Copied",
  snippet: (site: string) =>
    `[[node]]\nname = "new-node"\nsite = "${site}"\nhttp = "0.0.0.0:8080"\nquic = "0.0.0.0:7443"`,
  command: "reelmesh serve --config cluster.toml --node new-node",
} as const;
