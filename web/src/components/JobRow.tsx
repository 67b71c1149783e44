// One piece of work in the list on the page of a video.

import "../styles/work.css";
import type { Job } from "../api/types";
import { useNow } from "../lib/hooks";
import { JOBS, jobName } from "../strings/jobs";
import { JobActions } from "./JobActions";
import { JobReason } from "./JobReason";
import { timeOf } from "./jobTime";
import { ProgressBar } from "./ProgressBar";
import { JobChip } from "./StateChip";

export function JobRow({ job }: { job: Job }) {
  const now = useNow(5000);
  const what = jobName(job.kind);
  return (
    <li className="job">
      <div className="job-head">
        <span className="job-name">{what}</span>
        <span className="job-meta hint numeric">
          {[job.node, timeOf(job, now)].filter(Boolean).join(" · ")}
        </span>
        <JobChip state={job.state} permille={job.progress_permille} />
        <span className="job-actions">
          <JobActions job={job} />
        </span>
      </div>
      {job.state === "running" && (
        <ProgressBar permille={job.progress_permille} label={JOBS.progress(what)} />
      )}
      <JobReason job={job} />
    </li>
  );
}
