// What can be done about a job.

import { useCancelJob, useRetryJobs } from "../api/useWork";
import type { Job } from "../api/types";
import { say } from "../lib/toasts";
import { JOBS, jobName } from "../strings/jobs";

export function JobActions({ job }: { job: Job }) {
  const retry = useRetryJobs();
  const cancel = useCancelJob();
  const refused = (error: Error) => say(error.message, { tone: "bad" });
  const what = jobName(job.kind);
  if (isRetryable(job)) {
    return (
      <button
        className="button button-small"
        type="button"
        disabled={retry.isPending}
        aria-label={JOBS.retryLabel(what, job.filename)}
        onClick={() => retry.mutate([job.id], { onError: refused })}
      >
        {JOBS.retry}
      </button>
    );
  }
  if (job.state === "waiting" || job.state === "running") {
    return (
      <button
        className="button button-small button-quiet"
        type="button"
        disabled={cancel.isPending}
        aria-label={JOBS.cancelLabel(what, job.filename)}
        onClick={() => cancel.mutate(job.id, { onError: refused })}
      >
        {JOBS.cancel}
      </button>
    );
  }
  return null;
}

/** Another attempt at a file that cannot be rendered would end as the first did. */
export function isRetryable({ state, failure }: Job): boolean {
  return state === "cancelled" || (state === "failed" && failure?.class !== "input");
}
