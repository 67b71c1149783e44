// What the page of a video says.

import { count } from "../lib/format";

export const VIDEO = {
  title: "Video",
  gone: "This video is not here",
  goneWhy: "It may have been deleted, or the address may be mistyped.",
  cannotShow: "The video cannot be shown",
  loading: "Loading the video",
  added: "Added",
  remarks: "Remarks",
  waits: {
    uploading: "The upload is still coming in.",
    probing: "Looking into the file: which tracks it has and how long it is.",
    rendering: "Rendering. It plays here as soon as the first seconds are ready.",
  },
  progress: "Progress",
  rendered: "Rendered",
  stillRendering: "It is still being rendered; what is ready plays already.",
  notRendered: "This video could not be rendered.",
  machine: "What the machine said",
  asking: "Asking",
  again: "Try again",
  sameAnswer: "Trying again would give the same answer. The original is kept as it came.",
  original: "Original",
  delete: "Delete",
  name: "Name of the video",
  rename: "Rename the video",
  labels: "Tags and bins",
  copy: "Copy",
  copied: "Copied",
  work: "Work",
  steps: (number: number) => count(number, "step"),
  done: (settled: number, total: number) => `${settled} of ${total} done`,
  finished: (number: number) => count(number, "finished step"),
  more: "Show more",
} as const;

export const FACTS = {
  title: "About the original",
  picture: "Picture",
  rate: "Frame rate",
  length: "Length",
  start: "Starts at",
  format: "Format",
  sound: "Sound",
  none: "None",
  size: "Size",
  renditions: "Renditions",
  copies: "Lies on",
  at: (site: string) => `at ${site}`,
} as const;
