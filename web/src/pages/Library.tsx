// The library: every video, found by name, state and age. What is asked for stands in the address.

import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { deleteVideo } from "../api/client";
import { VIDEO_SORTS, VIDEO_STATUSES, type VideoSort } from "../api/filter";
import { useVideos } from "../api/queries";
import type { Video, VideoStatus } from "../api/types";
import { CardSkeleton } from "../components/VideoCard";
import { useDebounced, useDelay, usePageTitle } from "../lib/hooks";
import { removeSoon, useHidden } from "../lib/removal";
import { navigate, useSearch } from "../lib/router";
import { keysEverywhere } from "../lib/singleKeys";
import { everything, kept, NOTHING, type Selection } from "../lib/selection";
import { addressOf, narrowings, viewOf, widened, type View } from "../library/address";
import { Browser } from "../library/Browser";
import { LIBRARY } from "../strings/library";
import { STATUS_WORDS } from "../strings/states";
import { SHELL } from "../strings/shell";
import { Icon } from "../ui/Icon";
import { Failed, Notice } from "../ui/states";
import { uploadFiles } from "../upload/summary";

const SelectionBar = lazy(() => import("../library/SelectionBar"));
const FilterPanel = lazy(() => import("../library/FilterPanel"));

export function Library() {
  const heading = usePageTitle(LIBRARY.title);
  const search = useSearch();
  const view = useMemo(() => viewOf(search), [search]);
  const { sort } = view;
  // Grid or list show the same.
  const videos = useVideos(
    useMemo(() => {
      const { layout: _, ...filter } = viewOf(search);
      return filter;
    }, [search]),
  );
  const hidden = useHidden();
  const loaded = useMemo(() => videos.data?.pages.flatMap((page) => page.items) ?? [], [videos.data]);
  const items = useMemo(() => loaded.filter(({ id }) => !hidden.has(id)), [loaded, hidden]);
  const total = Math.max(
    items.length,
    (videos.data?.pages.at(-1)?.total ?? 0) - (loaded.length - items.length),
  );
  const narrowed = view.q !== "" || view.status !== null || narrowings(view) > 0;
  const change = (part: Partial<View>) => navigate(addressOf({ ...view, ...part }), { replace: true });
  const [filtering, setFiltering] = useState(() => narrowings(view) > 0);
  const more = () => !videos.isFetching && void videos.fetchNextPage();

  const [chosen, setChosen] = useState<Selection>(NOTHING);
  const selection = useMemo(() => kept(chosen, new Set(items.map(({ id }) => id))), [chosen, items]);
  const select = useCallback(
    (step: (old: Selection) => Selection) =>
      setChosen((old) => step(kept(old, new Set(items.map(({ id }) => id))))),
    [items],
  );
  const remove = (ids: readonly string[]) => {
    const name = items.find(({ id }) => id === ids[0])?.filename ?? "";
    removeSoon({
      ids,
      send: deleteVideo,
      text: LIBRARY.deleted(ids.length, name),
      undo: SHELL.undo,
      failed: LIBRARY.keepFailed,
    });
  };
  // Everything that matches, loaded or not: what is missing is fetched first.
  const selectAll = async () => {
    let known = videos.data;
    let next = videos.hasNextPage;
    while (next) {
      const answer = await videos.fetchNextPage();
      if (answer.isError) return;
      known = answer.data;
      next = answer.hasNextPage;
    }
    setChosen(everything(known?.pages.flatMap((page) => page.items.map(({ id }) => id)) ?? []));
  };

  return (
    <section className="library">
      <div className="library-head">
        <h1 ref={heading} tabIndex={-1}>
          {LIBRARY.title}
          <span className="library-count numeric" role="status">
            {videos.data && (total > 0 || narrowed) ? LIBRARY.videos(total) : ""}
          </span>
        </h1>
        <Filters view={view} onChange={change} open={filtering} onOpen={setFiltering} />
      </div>
      {filtering && (
        <div className="filters-more" id="filters-more">
          <Suspense fallback={null}>
            <FilterPanel view={view} onChange={change} />
          </Suspense>
        </div>
      )}
      {videos.isPending ? (
        <Skeletons />
      ) : videos.isError && items.length === 0 ? (
        <Failed what={LIBRARY.cannotShow} error={videos.error} onRetry={() => void videos.refetch()} />
      ) : items.length === 0 ? (
        narrowed ? (
          <Notice icon="search" title={LIBRARY.nothing}>
            <p>{LIBRARY.nothingWhy}</p>
            <button className="button" type="button" onClick={() => change(widened(view))}>
              {LIBRARY.showAll}
            </button>
          </Notice>
        ) : (
          <EmptyLibrary />
        )
      ) : (
        <>
          {view.layout === "list" && <ListHead sort={sort} onSort={(next) => change({ sort: next })} />}
          <Browser
            layout={view.layout}
            items={items}
            total={total}
            stale={videos.isPlaceholderData}
            hasMore={videos.hasNextPage && !videos.isFetchNextPageError}
            busy={videos.isFetching}
            onMore={more}
            selection={selection}
            onSelect={select}
            onDelete={remove}
          />
        </>
      )}
      {videos.isFetchNextPageError && (
        <p className="more-failed" role="alert">
          {LIBRARY.moreFailed}{" "}
          <button className="link" type="button" onClick={() => void videos.fetchNextPage()}>
            {LIBRARY.again}
          </button>
        </p>
      )}
      {selection.ids.size > 0 && (
        <Suspense fallback={null}>
          <SelectionBar
            videos={items.filter(({ id }) => selection.ids.has(id))}
            total={total}
            onAll={selectAll}
            onClear={() => setChosen(NOTHING)}
            onDelete={(chosen: readonly Video[]) => remove(chosen.map(({ id }) => id))}
          />
        </Suspense>
      )}
    </section>
  );
}

interface FiltersProps {
  view: View;
  onChange: (part: Partial<View>) => void;
  /** Whether the rest of the filters is shown. */
  open: boolean;
  onOpen: (open: boolean) => void;
}

function Filters({ view, onChange, open, onOpen }: FiltersProps) {
  const narrow = narrowings(view);
  return (
    <div className="filters" role="search">
      <SearchField value={view.q} onChange={(q) => onChange({ q })} />
      <label className="select">
        <span className="sr-only">{LIBRARY.state}</span>
        <select
          value={view.status ?? ""}
          onChange={(event) => onChange({ status: (event.target.value || null) as VideoStatus | null })}
        >
          <option value="">{LIBRARY.everyState}</option>
          {VIDEO_STATUSES.map((status) => (
            <option key={status} value={status}>
              {STATUS_WORDS[status]}
            </option>
          ))}
        </select>
        <Icon name="chevronDown" />
      </label>
      <label className="select">
        <span className="sr-only">{LIBRARY.order}</span>
        <select value={view.sort} onChange={(event) => onChange({ sort: event.target.value as VideoSort })}>
          {VIDEO_SORTS.map((sort) => (
            <option key={sort} value={sort}>
              {LIBRARY.orders[sort]}
            </option>
          ))}
        </select>
        <Icon name="chevronDown" />
      </label>
      <button
        className="button filters-button"
        type="button"
        aria-expanded={open}
        aria-controls={open ? "filters-more" : undefined}
        onClick={() => onOpen(!open)}
      >
        <Icon name="filter" />
        {LIBRARY.filters}
        {narrow > 0 && <span className="filters-count numeric">{narrow}</span>}
      </button>
      <div className="segments segments-icons" role="group" aria-label={LIBRARY.layout}>
        {(["grid", "list"] as const).map((layout) => (
          <button
            key={layout}
            type="button"
            aria-label={LIBRARY[layout]}
            title={LIBRARY[layout]}
            aria-pressed={view.layout === layout}
            onClick={() => onChange({ layout })}
          >
            <Icon name={layout} />
          </button>
        ))}
      </div>
    </div>
  );
}

/** The names of the columns; two of them sort. */
function ListHead({ sort, onSort }: { sort: VideoSort; onSort: (sort: VideoSort) => void }) {
  const { columns } = LIBRARY;
  const sorter = (field: "filename" | "created_at" | "duration", name: string, className: string) => {
    const up = sort === field;
    const chosen = up || sort === `-${field}`;
    const next = chosen ? (up ? `-${field}` : field) : field === "filename" ? field : `-${field}`;
    return (
      <button
        className={className}
        type="button"
        aria-pressed={chosen}
        onClick={() => onSort(next as VideoSort)}
      >
        {name}
        {chosen && <Icon name="chevronDown" className={up ? "turned" : ""} />}
      </button>
    );
  };
  return (
    <div className="row rows-head">
      <span className="row-picture" />
      {sorter("filename", columns.name, "row-name")}
      <span className="chip">{columns.state}</span>
      {sorter("duration", columns.length, "row-length")}
      <span className="row-format">{columns.format}</span>
      <span className="row-size">{columns.size}</span>
      {sorter("created_at", columns.added, "row-added")}
    </div>
  );
}

function SearchField({ value, onChange }: { value: string; onChange: (q: string) => void }) {
  const [text, setText] = useState(value);
  const field = useRef<HTMLInputElement>(null);
  const settled = useDebounced(text, 180);
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
      if (event.key !== "/" || !keysEverywhere() || typing || event.ctrlKey || event.metaKey || event.altKey)
        return;
      event.preventDefault();
      field.current?.focus();
    };
    addEventListener("keydown", focus);
    return () => removeEventListener("keydown", focus);
  }, []);
  return (
    <label className="search">
      <span className="sr-only">{LIBRARY.search}</span>
      <Icon name="search" />
      <input
        ref={field}
        type="search"
        placeholder={LIBRARY.search}
        value={text}
        spellCheck={false}
        autoComplete="off"
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") setText("");
          // From the words straight to what they found.
          if (event.key === "ArrowDown" || event.key === "Enter") {
            document.querySelector<HTMLElement>(".library [data-index] a[tabindex='0']")?.focus();
            event.preventDefault();
          }
        }}
      />
    </label>
  );
}

function Skeletons() {
  const shown = useDelay(150);
  return (
    <>
      <p className="sr-only" role="status">
        {LIBRARY.loading}
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
  const words = LIBRARY.empty;
  return (
    <div className="empty">
      <Icon name="film" />
      <h2>{words.title}</h2>
      <p>{words.why}</p>
      <button className="button button-primary" type="button" onClick={pick}>
        <Icon name="upload" />
        {words.choose}
      </button>
      <input
        ref={picker}
        className="sr-only"
        type="file"
        multiple
        tabIndex={-1}
        aria-label={words.label}
        onChange={(event) => uploadFiles(event.target.files ?? [])}
      />
      <p className="empty-or">{words.or}</p>
      <code>reelmesh upload FILE --wait</code>
    </div>
  );
}
