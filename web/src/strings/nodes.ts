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
  draining: "Draining",
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
  draining: (name: string) => `${name} is draining and gets no new work.`,
  drainingDo: (name: string) =>
    `When it is empty it can be taken out; reelmesh nodes drain --undo ${name} gives it work again.`,
  lag: (name: string, entries: number) =>
    `${name} is ${count(entries, "entry").replace("entrys", "entries")} behind.`,
  lagDo: "It catches up by itself; if it does not, look at its disk and its network.",
  versions: (versions: readonly string[]) => `The nodes run different versions: ${list(versions)}.`,
  versionsDo: "Bring all of them to the same version.",
} as const;

export const NODE_ACTIONS = {
  drain: "Drain",
  drainLabel: (name: string) => `Drain ${name}`,
  drainWhy: "It gets no new work, ends what it has, and its originals are copied to others",
  drained: (name: string) => `${name} gets no new work; what it has it ends.`,
  undrain: "Give work again",
  undrainLabel: (name: string) => `Give ${name} work again`,
  undrainWhy: "It is given work like the others",
  undrained: (name: string) => `${name} gets work again.`,
  remove: "Remove",
  removeLabel: (name: string) => `Remove ${name}`,
  removeTitle: (name: string) => `Remove ${name} from the cluster?`,
  removeNow: "Remove for good",
  keep: "Keep it",
  removed: (name: string) => `${name} is no member of the cluster any more.`,
  forGood: "It cannot come back: the machine would have to join anew, with an empty data folder and a token.",
  looking: "Looking for originals that lie there and nowhere else.",
  sole: (number: number) =>
    `${count(number, "original")} ${number === 1 ? "lies" : "lie"} there and nowhere else: drain it and wait until they are copied.`,
  noSole: "Every original that lies there also lies elsewhere.",
  voters: (voters: number, spare: number) =>
    `${count(voters, "voter")} will be left; ${spare === 0 ? "none of them may" : `${spare} of them may`} go away without harm.`,
  noMajority: (up: number, needed: number) =>
    `Only ${up} of the voters that are left ${up === 1 ? "is" : "are"} up, and ${needed} make the majority: nothing could be changed any more.`,
  work: (jobs: number) => `${count(jobs, "job")} that it runs now will begin again elsewhere.`,
} as const;

export const ADD_NODE = {
  title: "Add a node",
  why: "The same cluster.toml serves every machine, and every machine runs the same program.",
  steps: [
    "Write one more block into cluster.toml, and copy the file to every machine:",
    "Make a token, which lets one machine in:",
    "Start the new machine with it:",
    "Bring the cluster to what the file says, on a machine of the cluster:",
  ],
  alone: "This node runs alone, and its version does not offer to take other machines in.",
  after: "It appears on this page when it has found the others.",
  copy: "Copy",
  copied: "Copied",
  snippet: (site: string) =>
    `[[node]]\nname = "new-node"\nsite = "${site}"\nhttp = "127.0.0.1:8080"\nquic = "10.0.0.4:7443" # where the others reach it\nrole = "worker"`,
  make: "Make a token",
  orCommand: "or, on a machine of the cluster:",
  valid: (time: string) => `It lets one machine in, until ${time}. It is not shown again.`,
  start: "REELMESH_JOIN_TOKEN=rmj-… reelmesh serve --config cluster.toml --node new-node",
  apply: "reelmesh apply cluster.toml",
} as const;
