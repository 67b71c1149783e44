// All work of the cluster, newest first, with the reason why each waiting job waits.

import "../styles/work.css";
import { useJobs } from "../api/useWork";
import type { JobState } from "../api/types";
import { JobRow } from "../components/JobRow";
import { count } from "../lib/format";
import { usePageTitle } from "../lib/hooks";
import { navigate, useSearch } from "../lib/router";
import { Failed, Notice } from "../ui/states";

const STATES: [JobState | null, string][] = [
  [null, "All"],
  ["running", "Running"],
  ["waiting", "Waiting"],
  ["failed", "Failed"],
  ["done", "Done"],
  ["cancelled", "Cancelled"],
];

export default function Jobs() {
  const heading = usePageTitle("Jobs");
  const asked = new URLSearchParams(useSearch()).get("state");
  const state = STATES.find(([known]) => known === asked)?.[0] ?? null;
  const query = useJobs({ state });
  const jobs = query.data?.pages.flatMap((page) => page.items) ?? [];
  const total = query.data?.pages.at(-1)?.total ?? 0;
  return (
    <section className="page">
      <div className="library-head">
        <h1 ref={heading} tabIndex={-1}>
          Jobs
          <span className="library-count numeric" role="status">
            {total > 0 ? count(total, "job") : ""}
          </span>
        </h1>
        <div className="segments" role="group" aria-label="State">
          {STATES.map(([value, name]) => (
            <button
              key={name}
              type="button"
              aria-pressed={value === state}
              onClick={() => navigate(value === null ? "/jobs" : `/jobs?state=${value}`, { replace: true })}
            >
              {name}
            </button>
          ))}
        </div>
      </div>
      {query.isError && jobs.length === 0 ? (
        <Failed what="The jobs cannot be shown" error={query.error} onRetry={() => void query.refetch()} />
      ) : query.isSuccess && jobs.length === 0 ? (
        <Notice icon="queue" title={state === null ? "No work yet" : "None of these"}>
          <p>{state === null ? "Upload a video and its jobs appear here." : "No job is in this state."}</p>
        </Notice>
      ) : (
        <ul className="jobs jobs-page">
          {jobs.map((job) => (
            <JobRow key={job.id} job={job} withVideo />
          ))}
        </ul>
      )}
      {query.hasNextPage && (
        <button
          className="button more"
          type="button"
          disabled={query.isFetchingNextPage}
          onClick={() => void query.fetchNextPage()}
        >
          Show more
        </button>
      )}
    </section>
  );
}
