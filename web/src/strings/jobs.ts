// What is said about work.

import type { Failure } from "../api/types";
import { count } from "../lib/format";
import { JOB_WORDS } from "./states";

export const JOBS = {
  title: "Jobs",
  jobs: (number: number) => count(number, "job"),
  cannotShow: "The jobs cannot be shown",
  state: "State",
  states: { all: "All", ...JOB_WORDS },
  onlyVideo: (name: string) => `Only of ${name}`,
  everyVideo: "Jobs of every video",
  columns: { what: "What", state: "State", where: "Where", time: "Time", actions: "Actions" },
  none: "No work yet",
  noneWhy: "Upload a video and its jobs appear here.",
  noneOfState: "None of these",
  noneOfStateWhy: "No job is in this state.",
  waits: (time: string) => `waits for ${time}`,
  takes: (time: string) => `for ${time}`,
  took: (time: string) => `took ${time}`,
  underASecond: "less than a second",
  left: (time: string) => `about ${time} left`,
  attempt: (number: number, most: number) => `attempt ${number} of ${most}`,
  lastAttempt: (message: string) => `Last attempt: ${message}`,
  whatToDo: "What to do",
  machine: "What the machine said",
  progress: (what: string) => `${what}, progress`,
  retry: "Retry",
  retryLabel: (what: string, name: string) => `Retry: ${what}, ${name}`,
  cancel: "Cancel",
  cancelLabel: (what: string, name: string) => `Cancel: ${what}, ${name}`,
  retryAll: (number: number) => `Retry ${count(number, "job")}`,
  more: "Show more",
} as const;

/** What a person can do about a failure, by its class; the failure's own sentence comes before it. */
export const ADVICE: Record<Failure["class"], string> = {
  input: "Trying again gives the same answer: export or copy the file anew and upload that one.",
  crashed: "Try it again. If it fails on another node too, the file is at fault.",
  resource: "Make room or bring back what was missing, then try it again.",
  verification: "Try it again, best on another node; if it fails twice, keep what the machine said.",
  cancelled: "Somebody cancelled it. Try it again if it is wanted after all.",
  internal: "This is our mistake. Try it again, and report what the machine said.",
};

/** What a job does, in words. */
export function jobName(kind: string): string {
  if (kind === "probe") return "Look into the file";
  if (kind === "audio") return "Render the sound";
  if (kind === "stills") return "Make the poster";
  if (kind.startsWith("clip")) return "Render a subclip";
  const piece = /^piece-(\d+)$/.exec(kind);
  if (piece) return `Render the picture, piece ${Number(piece[1]) + 1}`;
  return kind;
}
