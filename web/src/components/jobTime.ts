// The time of a job in words.

import type { Job } from "../api/types";
import { span } from "../lib/format";
import { JOBS } from "../strings/jobs";
import { paceOf } from "../work/pace";

export function timeOf(job: Job, nowMs: number): string {
  const { seconds, leftSeconds } = paceOf(job, nowMs);
  const parts: string[] = [];
  const long = seconds < 10 ? `${seconds} s` : span(seconds);
  if (job.state === "waiting") parts.push(JOBS.waits(long));
  else if (leftSeconds !== null) parts.push(JOBS.left(span(leftSeconds)));
  else if (job.state === "running") parts.push(JOBS.takes(long));
  else if (job.started_at !== null && job.finished_at !== null)
    parts.push(JOBS.took(seconds < 1 ? JOBS.underASecond : long));
  if (job.attempts > 1) parts.push(JOBS.attempt(job.attempts, job.max_attempts));
  return parts.join(" · ");
}
