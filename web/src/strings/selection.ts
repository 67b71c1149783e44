// What the bar of a selection says, and the names of the formats.

import { count, grouped } from "../lib/format";

const videos = (number: number) => count(number, "video");

export const SELECTION = {
  label: "Selection",
  chosen: (number: number) => `${grouped(number)} selected`,
  all: (number: number) => `Select all ${grouped(number)}`,
  gathering: "Loading the rest",
  tags: "Tags and bins",
  export: "Export",
  exportLabel: "Export the subclips",
  exportNone: "None of these has subclips.",
  exported: (number: number) => `The subclips of ${videos(number)} are exported.`,
  retry: "Try again",
  retried: (number: number) => `${count(number, "job")} will run again.`,
  retryNone: "None of these has work that could be tried again.",
  delete: "Delete",
  clear: "Clear the selection",
} as const;

export const FORMATS = {
  edl: { name: "EDL", note: "CMX 3600" },
  fcpxml: { name: "FCPXML", note: "Final Cut Pro, Resolve" },
  fcp7xml: { name: "FCP 7 XML", note: "Premiere, Resolve" },
  otio: { name: "OTIO", note: "OpenTimelineIO" },
  csv: { name: "CSV", note: "Spreadsheets" },
} as const;
