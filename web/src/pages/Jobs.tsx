// All work of the cluster, newest first: what, for which video, where, how far, and why it waits or failed.

import "../styles/work.css";
import { useEffect, useMemo, useRef, useState } from "react";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useJobs, useRetryJobs } from "../api/useWork";
import type { Job, JobState } from "../api/types";
import { isRetryable, JobActions } from "../components/JobActions";
import { JobReason } from "../components/JobReason";
import { timeOf } from "../components/jobTime";
import { ProgressBar } from "../components/ProgressBar";
import { JobChip } from "../components/StateChip";
import { useNow, usePageTitle } from "../lib/hooks";
import { Link, navigate, useSearch } from "../lib/router";
import { JOBS, jobName } from "../strings/jobs";
import { Icon } from "../ui/Icon";
import { Failed, Notice } from "../ui/states";

const STATES: readonly (JobState | null)[] = [null, "running", "waiting", "failed", "done", "cancelled"];

interface Asked {
  state: JobState | null;
  video: string | null;
}

function askedOf(search: string): Asked {
  const parameters = new URLSearchParams(search);
  const state = parameters.get("state");
  return { state: STATES.find((known) => known === state) ?? null, video: parameters.get("video") };
}

function addressOf({ state, video }: Asked): string {
  const parameters = new URLSearchParams();
  if (video) parameters.set("video", video);
  if (state) parameters.set("state", state);
  const text = parameters.toString();
  return text ? `/jobs?${text}` : "/jobs";
}

export default function Jobs() {
  const heading = usePageTitle(JOBS.title);
  const search = useSearch();
  const asked = useMemo(() => askedOf(search), [search]);
  const { state, video } = asked;
  const query = useJobs(useMemo(() => ({ state, ...(video ? { video } : {}) }), [state, video]));
  const jobs = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  const total = query.data?.pages.at(-1)?.total ?? 0;
  const retry = useRetryJobs();
  const retryable = state === "failed" ? jobs.filter(isRetryable) : [];
  return (
    <section className="page">
      <div className="library-head">
        <h1 ref={heading} tabIndex={-1}>
          {JOBS.title}
          <span className="library-count numeric" role="status">
            {total > 0 ? JOBS.jobs(total) : ""}
          </span>
        </h1>
        <div className="filters">
          {retryable.length > 1 && (
            <button
              className="button"
              type="button"
              disabled={retry.isPending}
              onClick={() => retry.mutate(retryable.map(({ id }) => id))}
            >
              <Icon name="retry" />
              {JOBS.retryAll(retryable.length)}
            </button>
          )}
          {video && (
            <Link className="button" to={addressOf({ ...asked, video: null })} title={JOBS.everyVideo}>
              {JOBS.onlyVideo(jobs[0]?.filename ?? "…")}
              <Icon name="cancel" />
            </Link>
          )}
          <div className="segments" role="group" aria-label={JOBS.state}>
            {STATES.map((value) => (
              <button
                key={value ?? "all"}
                type="button"
                aria-pressed={value === state}
                onClick={() => navigate(addressOf({ ...asked, state: value }), { replace: true })}
              >
                {JOBS.states[value ?? "all"]}
              </button>
            ))}
          </div>
        </div>
      </div>
      {query.isError && jobs.length === 0 ? (
        <Failed what={JOBS.cannotShow} error={query.error} onRetry={() => void query.refetch()} />
      ) : query.isSuccess && jobs.length === 0 ? (
        <Notice icon="queue" title={state === null ? JOBS.none : JOBS.noneOfState}>
          <p>{state === null ? JOBS.noneWhy : JOBS.noneOfStateWhy}</p>
        </Notice>
      ) : (
        jobs.length > 0 && (
          <JobTable
            jobs={jobs}
            total={total}
            hasMore={query.hasNextPage && !query.isFetching && !query.isFetchNextPageError}
            onMore={() => void query.fetchNextPage()}
          />
        )
      )}
      {query.isFetchNextPageError && (
        <button className="button more" type="button" onClick={() => void query.fetchNextPage()}>
          {JOBS.more}
        </button>
      )}
    </section>
  );
}

interface JobTableProps {
  jobs: readonly Job[];
  total: number;
  hasMore: boolean;
  onMore: () => void;
}

/** Rows are as tall as their reasons, so they are measured; only those near the window are drawn. */
function JobTable({ jobs, total, hasMore, onMore }: JobTableProps) {
  const now = useNow(2000);
  const body = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  useEffect(() => {
    const measure = () => setTop(body.current?.offsetTop ?? 0);
    measure();
    addEventListener("resize", measure);
    return () => removeEventListener("resize", measure);
  }, []);
  const rows = useWindowVirtualizer({
    count: jobs.length,
    estimateSize: () => 67,
    overscan: 6,
    scrollMargin: top,
    getItemKey: (index) => jobs[index]?.id ?? index,
  });
  const items = rows.getVirtualItems();
  const nearEnd = (items.at(-1)?.index ?? 0) >= jobs.length - 20;
  const more = useRef(onMore);
  useEffect(() => {
    more.current = onMore;
  });
  useEffect(() => {
    if (nearEnd && hasMore) more.current();
  }, [nearEnd, hasMore, jobs.length]);
  const { columns } = JOBS;
  return (
    <div className="job-table" role="table" aria-label={JOBS.title} aria-rowcount={total + 1}>
      <div className="job-table-head" role="rowgroup">
        <div className="job-table-row" role="row" aria-rowindex={1}>
          <span role="columnheader">{columns.what}</span>
          <span role="columnheader">{columns.state}</span>
          <span role="columnheader">{columns.where}</span>
          <span role="columnheader">{columns.time}</span>
          <span role="columnheader">
            <span className="sr-only">{columns.actions}</span>
          </span>
        </div>
      </div>
      <div ref={body} role="rowgroup" className="job-table-body" style={{ height: rows.getTotalSize() }}>
        {items.map(({ index, key, start }) => {
          const job = jobs[index];
          return (
            job && (
              <div
                key={key}
                ref={rows.measureElement}
                data-index={index}
                className="job-table-row"
                role="row"
                aria-rowindex={index + 2}
                style={{ transform: `translateY(${start - top}px)` }}
              >
                <Row job={job} nowMs={now} />
              </div>
            )
          );
        })}
      </div>
    </div>
  );
}

function Row({ job, nowMs }: { job: Job; nowMs: number }) {
  const what = jobName(job.kind);
  return (
    <>
      <span role="cell" className="job-what">
        <span className="job-name">{what}</span>
        <Link className="job-video" to={`/videos/${job.video}`}>
          {job.filename}
        </Link>
        <JobReason job={job} />
      </span>
      <span role="cell" className="job-state">
        <JobChip state={job.state} permille={job.progress_permille} />
        {job.state === "running" && (
          <ProgressBar permille={job.progress_permille} label={JOBS.progress(what)} />
        )}
      </span>
      <span role="cell" className="job-where">
        {job.node ?? "–"}
      </span>
      <span role="cell" className="job-time numeric">
        {job.node !== null && (
          <span className="job-time-node" aria-hidden="true">
            {job.node} ·{" "}
          </span>
        )}
        {timeOf(job, nowMs)}
      </span>
      <span role="cell" className="job-actions">
        <JobActions job={job} />
      </span>
    </>
  );
}
