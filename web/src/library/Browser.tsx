// The videos as a grid or a list. Only the rows near the window are drawn, so that thousands scroll as smoothly
// as ten; what is not loaded yet holds its place.

import {
  memo,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
  type KeyboardEvent,
  type MouseEvent,
} from "react";
import type { Video } from "../api/types";
import { CardSkeleton, VideoCard } from "../components/VideoCard";
import { useNow } from "../lib/hooks";
import { restoreScroll } from "../lib/router";
import { gridLayout, useRows } from "../lib/rows";
import { everything, extended, movedTo, NOTHING, toggled, type Selection } from "../lib/selection";
import { LIBRARY } from "../strings/library";
import { RowSkeleton, VideoRow } from "./VideoRow";

/** The bar at the top covers this much of the window. */
const COVERED = 72;

const gridFor = (width: number) =>
  width < 480 ? gridLayout(width, 240, 16, 68, 20) : gridLayout(width, width > 1900 ? 320 : 250, 24, 68, 28);
const listFor = (width: number) => ({ columns: 1, rowHeight: width < 480 ? 68 : 60 });

interface BrowserProps {
  layout: "grid" | "list";
  items: Video[];
  total: number;
  stale: boolean;
  hasMore: boolean;
  /** Something is being fetched; `onMore` would do nothing. */
  busy: boolean;
  onMore: () => void;
  selection: Selection;
  onSelect: (change: (selection: Selection) => Selection) => void;
  onDelete: (ids: readonly string[]) => void;
}

export function Browser(props: BrowserProps) {
  const { layout: kind, items, total, stale, hasMore, busy, onMore, selection, onSelect, onDelete } = props;
  const nowMs = useNow(30_000);
  const { grid, layout, rows, total: rowCount } = useRows(total, kind === "grid" ? gridFor : listFor, kind);
  const [active, setActive] = useState(0);
  const first = rows.first * layout.columns;
  const end = Math.min(total, rows.end * layout.columns);
  const selecting = selection.ids.size > 0;

  // Fetch on until what the window shows is there; a long jump takes several pages.
  const more = useRef(onMore);
  useEffect(() => {
    more.current = onMore;
  });
  const wanting = hasMore && !busy && end + layout.columns * 3 > items.length;
  useEffect(() => {
    if (wanting) more.current();
  }, [wanting, items.length]);

  useLayoutEffect(restoreScroll, []);

  // The focused cell may have to be scrolled to and drawn before it can take the focus.
  const due = useRef(false);
  useEffect(() => {
    const link = due.current && grid.current?.querySelector<HTMLElement>(`[data-index="${active}"] a`);
    if (!link) return;
    due.current = false;
    link.focus({ preventScroll: true });
  }, [active, rows, items, grid]);
  const goTo = (index: number) => {
    const box = grid.current?.getBoundingClientRect();
    if (!box) return;
    const top = box.top + Math.floor(index / layout.columns) * layout.rowHeight;
    const bottom = top + layout.rowHeight;
    if (top < COVERED) scrollBy(0, top - COVERED);
    else if (bottom > innerHeight) scrollBy(0, bottom - innerHeight + 8);
    due.current = true;
    setActive(index);
  };

  const indexOf = (target: EventTarget) => {
    const cell = (target as HTMLElement).closest<HTMLElement>("[data-index]");
    return cell ? Number(cell.dataset["index"]) : -1;
  };
  const order = () => items.map(({ id }) => id);
  const choose = (id: string, range: boolean) =>
    onSelect((old) => (range ? extended(old, order(), id) : toggled(old, id)));

  // Before the link itself hears of it: while something is selected, a click selects.
  const click = (event: MouseEvent) => {
    const index = indexOf(event.target);
    const id = items[index]?.id;
    if (id === undefined) return;
    if ((event.target as HTMLElement).closest("input")) {
      setActive(index);
      choose(id, event.shiftKey);
    } else if (
      (event.target as HTMLElement).closest("a") &&
      event.detail > 0 &&
      (selecting || event.shiftKey) &&
      !event.ctrlKey &&
      !event.metaKey
    ) {
      event.preventDefault();
      setActive(index);
      choose(id, event.shiftKey);
    }
  };
  const key = (event: KeyboardEvent) => {
    const index = indexOf(event.target);
    const id = items[index]?.id;
    if (id === undefined || event.altKey) return;
    const onBox = (event.target as HTMLElement).closest("input") !== null;
    if (event.ctrlKey || event.metaKey) {
      if (event.key.toLowerCase() !== "a") return;
      onSelect(() => everything(order()));
    } else if ((event.key === " " && !onBox) || event.key === "x") {
      choose(id, event.shiftKey);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      onDelete(selecting ? [...selection.ids] : [id]);
      due.current = true;
    } else if (event.key === "Escape" && selecting) {
      onSelect(() => NOTHING);
    } else {
      const inView = Math.floor((innerHeight - COVERED) / layout.rowHeight);
      const to = movedTo(event.key, index, items.length, layout.columns, inView);
      if (to === null) return;
      const target = items[to]?.id;
      if (event.shiftKey && target !== undefined) {
        onSelect((old) => extended(old.anchor === null ? toggled(old, id) : old, order(), target));
      }
      goTo(to);
    }
    event.preventDefault();
  };

  // One stop for the Tab key: the cell that had the focus last, or the first that is drawn.
  const stop = active >= first && active < end ? Math.min(active, items.length - 1) : first;
  return (
    <ul
      ref={grid}
      className={`${kind === "grid" ? "grid" : "rows"}${stale ? " grid-stale" : ""}${selecting ? " selecting" : ""}`}
      style={{
        gridTemplateColumns: `repeat(${layout.columns}, minmax(0, 1fr))`,
        gridAutoRows: `${layout.rowHeight}px`,
        height: rowCount * layout.rowHeight,
        paddingTop: rows.first * layout.rowHeight,
      }}
      onClickCapture={click}
      onKeyDown={key}
      onFocus={(event) => {
        const index = indexOf(event.target);
        if (index >= 0 && index !== active) setActive(index);
      }}
    >
      {Array.from({ length: Math.max(0, end - first) }, (_, offset) => {
        const index = first + offset;
        const video = items[index];
        return (
          <Cell
            key={video?.id ?? index}
            kind={kind}
            video={video}
            index={index}
            total={total}
            stop={index === stop}
            selected={video !== undefined && selection.ids.has(video.id)}
            nowMs={nowMs}
          />
        );
      })}
    </ul>
  );
}

interface CellProps {
  kind: "grid" | "list";
  video: Video | undefined;
  index: number;
  total: number;
  stop: boolean;
  selected: boolean;
  nowMs: number;
}

const Cell = memo(function Cell({ kind, video, index, total, stop, selected, nowMs }: CellProps) {
  if (!video) return <li className="cell">{kind === "grid" ? <CardSkeleton /> : <RowSkeleton />}</li>;
  const tabIndex = stop ? 0 : -1;
  return (
    <li
      className={selected ? "cell cell-selected" : "cell"}
      data-index={index}
      aria-setsize={total}
      aria-posinset={index + 1}
    >
      {kind === "grid" ? (
        <VideoCard video={video} nowMs={nowMs} eager={index < 4} tabIndex={tabIndex} />
      ) : (
        <VideoRow video={video} nowMs={nowMs} tabIndex={tabIndex} />
      )}
      <label className="pick">
        <input
          type="checkbox"
          checked={selected}
          tabIndex={tabIndex}
          aria-label={LIBRARY.select(video.filename)}
          onChange={ignore}
        />
      </label>
    </li>
  );
});

/** The list hears the click; React asks for this all the same. */
function ignore() {}
