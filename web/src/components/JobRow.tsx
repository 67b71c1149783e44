// One piece of work: what it does, how far it is, why it waits or failed.

import "../styles/work.css";
import { useCancelJob, useRetryJobs } from "../api/useWork";
import type { Job } from "../api/types";
import { span } from "../lib/format";
import { Link } from "../lib/router";
import { jobName } from "../strings/jobs";
import { ProgressBar } from "./ProgressBar";
import { JobChip } from "./StateChip";

export function JobRow({ job, withVideo = false }: { job: Job; withVideo?: boolean }) {
  const retry = useRetryJobs();
  const cancel = useCancelJob();
  const refusal = retry.error ?? cancel.error;
  return (
    <li className="job">
      <div className="job-head">
        <span className="job-name">
          {jobName(job.kind)}
          {withVideo && (
            <Link className="job-video" to={`/videos/${job.video}`}>
              {job.filename}
            </Link>
          )}
        </span>
        <span className="job-meta hint numeric">{meta(job)}</span>
        <JobChip state={job.state} permille={job.progress_permille} />
        <span className="job-actions">
          {isRetryable(job) && (
            <button
              className="button button-small"
              type="button"
              disabled={retry.isPending}
              onClick={() => retry.mutate([job.id])}
            >
              Retry
            </button>
          )}
          {(job.state === "waiting" || job.state === "running") && (
            <button
              className="button button-small button-quiet"
              type="button"
              disabled={cancel.isPending}
              onClick={() => cancel.mutate(job.id)}
            >
              Cancel
            </button>
          )}
        </span>
      </div>
      {job.state === "running" && (
        <ProgressBar permille={job.progress_permille} label={`${jobName(job.kind)}, progress`} />
      )}
      {job.state === "waiting" && job.waiting_because.length > 0 && (
        <p className="hint">{job.waiting_because.join(" ")}</p>
      )}
      {job.failure && job.state !== "done" && (
        <div className="job-failure">
          <p className={job.state === "failed" ? "bad" : "hint"}>
            {job.state === "failed" ? job.failure.message : `Last attempt: ${job.failure.message}`}
          </p>
          {job.failure.detail && (
            <details>
              <summary>What the machine said</summary>
              <pre>{job.failure.detail}</pre>
            </details>
          )}
        </div>
      )}
      {refusal && (
        <p className="bad" role="alert">
          {refusal.message}
        </p>
      )}
    </li>
  );
}

/** Another attempt at a file that cannot be rendered would end as the first did. */
function isRetryable({ state, failure }: Job): boolean {
  return state === "cancelled" || (state === "failed" && failure?.class !== "input");
}

function meta(job: Job): string {
  const parts: string[] = [];
  if (job.node !== null) parts.push(job.node);
  if (job.attempts > 1) parts.push(`attempt ${job.attempts} of ${job.max_attempts}`);
  if (job.started_at !== null && job.finished_at !== null) {
    const seconds = Math.round((Date.parse(job.finished_at) - Date.parse(job.started_at)) / 1000);
    parts.push(seconds < 10 ? `${Math.max(0, seconds)} s` : span(seconds));
  }
  return parts.join(" · ");
}
