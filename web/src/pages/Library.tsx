// The library: every video as a card, found by name, state and age. What is asked for stands in the address.

import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { VIDEO_SORTS, VIDEO_STATUSES, type VideoFilter, type VideoSort } from "../api/client";
import { useVideos } from "../api/queries";
import type { Video, VideoStatus } from "../api/types";
import { STATUS_WORDS } from "../components/StateChip";
import { CardSkeleton, VideoCard } from "../components/VideoCard";
import { count } from "../lib/format";
import { useDebounced, useDelay, useNow, usePageTitle } from "../lib/hooks";
import { navigate, useSearch } from "../lib/router";
import { gridLayout, useRows } from "../lib/rows";
import { Icon } from "../ui/Icon";
import { Failed, Notice } from "../ui/states";
import { uploadFiles } from "../upload/summary";

const SORT_WORDS: Record<VideoSort, string> = {
  "-created_at": "Newest first",
  created_at: "Oldest first",
  filename: "Name, A to Z",
  "-filename": "Name, Z to A",
};

/** What the address asks for; whatever it does not know is the default. */
function filterOf(search: string): VideoFilter {
  const parameters = new URLSearchParams(search);
  const status = parameters.get("status");
  const sort = parameters.get("sort");
  return {
    status: VIDEO_STATUSES.find((known) => known === status) ?? null,
    sort: VIDEO_SORTS.find((known) => known === sort) ?? "-created_at",
    q: parameters.get("q") ?? "",
  };
}

function addressOf(filter: VideoFilter): string {
  const parameters = new URLSearchParams();
  if (filter.q) parameters.set("q", filter.q);
  if (filter.status) parameters.set("status", filter.status);
  if (filter.sort !== "-created_at") parameters.set("sort", filter.sort);
  const text = parameters.toString();
  return text ? `/?${text}` : "/";
}

export function Library() {
  const heading = usePageTitle("Library");
  const search = useSearch();
  const filter = useMemo(() => filterOf(search), [search]);
  const videos = useVideos(filter);
  const items = useMemo(() => videos.data?.pages.flatMap((page) => page.items) ?? [], [videos.data]);
  const total = videos.data?.pages.at(-1)?.total ?? 0;
  const narrowed = filter.q !== "" || filter.status !== null;
  const change = (part: Partial<VideoFilter>) =>
    navigate(addressOf({ ...filter, ...part }), { replace: true });

  return (
    <section className="library">
      <div className="library-head">
        <h1 ref={heading} tabIndex={-1}>
          Library
          <span className="library-count numeric" role="status">
            {videos.data && (total > 0 || narrowed) ? count(total, "video") : ""}
          </span>
        </h1>
        <div className="filters" role="search">
          <SearchField value={filter.q} onChange={(q) => change({ q })} />
          <label className="select">
            <span className="sr-only">State</span>
            <select
              value={filter.status ?? ""}
              onChange={(event) => change({ status: (event.target.value || null) as VideoStatus | null })}
            >
              <option value="">Every state</option>
              {VIDEO_STATUSES.map((status) => (
                <option key={status} value={status}>
                  {STATUS_WORDS[status]}
                </option>
              ))}
            </select>
            <Icon name="chevronDown" />
          </label>
          <label className="select">
            <span className="sr-only">Order</span>
            <select
              value={filter.sort}
              onChange={(event) => change({ sort: event.target.value as VideoSort })}
            >
              {VIDEO_SORTS.map((sort) => (
                <option key={sort} value={sort}>
                  {SORT_WORDS[sort]}
                </option>
              ))}
            </select>
            <Icon name="chevronDown" />
          </label>
        </div>
      </div>
      {videos.isPending ? (
        <Skeletons />
      ) : videos.isError && items.length === 0 ? (
        <Failed
          what="The library cannot be shown"
          error={videos.error}
          onRetry={() => void videos.refetch()}
        />
      ) : items.length === 0 ? (
        narrowed ? (
          <Notice icon="search" title="Nothing matches">
            <p>No video has this name and state.</p>
            <button className="button" type="button" onClick={() => navigate("/")}>
              Show every video
            </button>
          </Notice>
        ) : (
          <EmptyLibrary />
        )
      ) : (
        <Grid
          items={items}
          total={total}
          stale={videos.isPlaceholderData}
          hasMore={videos.hasNextPage && !videos.isFetchNextPageError}
          onMore={() => !videos.isFetching && void videos.fetchNextPage()}
        />
      )}
      {videos.isFetchNextPageError && (
        <p className="more-failed" role="alert">
          The next videos did not come.{" "}
          <button className="link" type="button" onClick={() => void videos.fetchNextPage()}>
            Try again
          </button>
        </p>
      )}
    </section>
  );
}

function SearchField({ value, onChange }: { value: string; onChange: (q: string) => void }) {
  const [text, setText] = useState(value);
  const field = useRef<HTMLInputElement>(null);
  const settled = useDebounced(text, 250);
  const latest = useRef({ value, onChange });
  useEffect(() => {
    latest.current = { value, onChange };
  });
  useEffect(() => {
    if (settled.trim() !== latest.current.value) latest.current.onChange(settled.trim());
  }, [settled]);
  // The address changed by another hand, such as the back button.
  useEffect(() => {
    setText((old) => (old.trim() === value ? old : value));
  }, [value]);
  useEffect(() => {
    const focus = (event: KeyboardEvent) => {
      const typing = (event.target as HTMLElement).closest("input, textarea, select, [contenteditable]");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      field.current?.focus();
    };
    addEventListener("keydown", focus);
    return () => removeEventListener("keydown", focus);
  }, []);
  return (
    <label className="search">
      <span className="sr-only">Search by name</span>
      <Icon name="search" />
      <input
        ref={field}
        type="search"
        placeholder="Search by name"
        value={text}
        spellCheck={false}
        autoComplete="off"
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") setText("");
        }}
      />
    </label>
  );
}

const layoutFor = (width: number) =>
  width < 480 ? gridLayout(width, 240, 16, 68, 20) : gridLayout(width, 250, 24, 68, 28);

interface GridProps {
  items: Video[];
  total: number;
  stale: boolean;
  hasMore: boolean;
  onMore: () => void;
}

/** Draws only the rows near the window, so that thousands of videos scroll as smoothly as ten. */
function Grid({ items, total, stale, hasMore, onMore }: GridProps) {
  const nowMs = useNow(30_000);
  const { grid, layout, rows, total: rowCount } = useRows(items.length, layoutFor);
  const first = rows.first * layout.columns;
  const shown = items.slice(first, rows.end * layout.columns);
  const nearEnd = rows.end >= rowCount - 3;
  const more = useRef(onMore);
  useEffect(() => {
    more.current = onMore;
  });
  useEffect(() => {
    if (nearEnd && hasMore) more.current();
  }, [nearEnd, hasMore, items.length]);
  return (
    <ul
      ref={grid}
      className={stale ? "grid grid-stale" : "grid"}
      style={{
        gridTemplateColumns: `repeat(${layout.columns}, minmax(0, 1fr))`,
        gridAutoRows: `${layout.rowHeight}px`,
        height: rowCount * layout.rowHeight,
        paddingTop: rows.first * layout.rowHeight,
      }}
    >
      {shown.map((video, index) => (
        <li key={video.id} aria-setsize={total} aria-posinset={first + index + 1}>
          <VideoCard video={video} nowMs={nowMs} eager={first + index < 4} />
        </li>
      ))}
    </ul>
  );
}

function Skeletons() {
  const shown = useDelay(150);
  return (
    <>
      <p className="sr-only" role="status">
        Loading the library
      </p>
      <div className={shown ? "grid grid-skeleton" : "grid grid-skeleton grid-hidden"}>
        {Array.from({ length: 12 }, (_, index) => (
          <CardSkeleton key={index} />
        ))}
      </div>
    </>
  );
}

function EmptyLibrary() {
  const picker = useRef<HTMLInputElement>(null);
  const pick = useCallback(() => picker.current?.click(), []);
  return (
    <div className="empty">
      <Icon name="film" />
      <h2>Drop a video here</h2>
      <p>
        Anywhere on this page will do. It is kept untouched, and a proxy that plays everywhere is rendered
        from it.
      </p>
      <button className="button button-primary" type="button" onClick={pick}>
        <Icon name="upload" />
        Choose files
      </button>
      <input
        ref={picker}
        className="sr-only"
        type="file"
        multiple
        tabIndex={-1}
        aria-label="Videos to upload"
        onChange={(event) => uploadFiles(event.target.files ?? [])}
      />
      <p className="empty-or">or from a terminal, over QUIC</p>
      <code>reelmesh upload FILE --wait</code>
    </div>
  );
}
