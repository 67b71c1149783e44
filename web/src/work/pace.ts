// Pure: how long work has taken and how long it still takes.

import type { Job } from "../api/types";

export interface Pace {
  /** Whole seconds that it waited, runs, or ran. */
  seconds: number;
  /** Whole seconds to its end at the pace so far; `null` where that would be a guess. */
  leftSeconds: number | null;
}

/** Before this much is done, the start weighs too much to say when it ends. */
const ENOUGH_PERMILLE = 20;
const ENOUGH_SECONDS = 2;

type Timed = Pick<Job, "state" | "progress_permille" | "created_at" | "started_at" | "finished_at">;

export function paceOf(job: Timed, nowMs: number): Pace {
  const at = (time: string | null) => (time === null ? NaN : Date.parse(time));
  const between = (from: number, to: number) => Math.max(0, Math.floor((to - from) / 1000)) || 0;
  if (job.state === "waiting") return { seconds: between(at(job.created_at), nowMs), leftSeconds: null };
  const seconds = between(at(job.started_at), job.state === "running" ? nowMs : at(job.finished_at));
  const enough = job.progress_permille >= ENOUGH_PERMILLE && seconds >= ENOUGH_SECONDS;
  const leftSeconds =
    job.state === "running" && enough
      ? Math.ceil((seconds * (1000 - job.progress_permille)) / job.progress_permille)
      : null;
  return { seconds, leftSeconds };
}
