// Why a job waits or failed, and what a person can do about it.

import type { Job } from "../api/types";
import { ADVICE, JOBS } from "../strings/jobs";

export function JobReason({ job }: { job: Job }) {
  const { state, failure, waiting_because } = job;
  if (state === "waiting" && waiting_because.length > 0 && !failure) {
    return <p className="job-reason hint">{waiting_because.join(" ")}</p>;
  }
  if (!failure || state === "done") {
    return null;
  }
  const failed = state === "failed" || state === "cancelled";
  return (
    <div className="job-reason">
      {waiting_because.length > 0 && <p className="hint">{waiting_because.join(" ")}</p>}
      <p className={state === "failed" ? "bad" : "hint"}>
        {failed ? failure.message : JOBS.lastAttempt(failure.message)}
      </p>
      {state === "failed" && <p className="hint">{ADVICE[failure.class]}</p>}
      {failure.detail && (
        <details>
          <summary>{JOBS.machine}</summary>
          <pre tabIndex={0}>{failure.detail}</pre>
        </details>
      )}
    </div>
  );
}
