// Which rows of a long grid to draw. Every row is as tall as the next, so arithmetic does it.

import { useEffect, useLayoutEffect, useRef, useState } from "react";

export interface Layout {
  columns: number;
  rowHeight: number;
}

export interface Window {
  /** First row drawn, and the one after the last. */
  first: number;
  end: number;
}

/** Pure: the rows that a window of `viewHeight` shows, with `spare` more on either side. */
export function visibleRows(
  gridTop: number,
  viewHeight: number,
  rows: number,
  rowHeight: number,
  spare: number,
): Window {
  const first = Math.floor(-gridTop / rowHeight) - spare;
  const end = Math.ceil((viewHeight - gridTop) / rowHeight) + spare;
  const clamp = (row: number) => Math.max(0, Math.min(rows, row));
  return { first: clamp(first), end: clamp(end) };
}

/** Pure: columns at least `minimum` wide with `gap` between them, 16:9 pictures with `below` pixels of text. */
export function gridLayout(
  width: number,
  minimum: number,
  gap: number,
  below: number,
  rowGap: number,
): Layout {
  const columns = Math.max(1, Math.floor((width + gap) / (minimum + gap)));
  const column = (width - gap * (columns - 1)) / columns;
  return { columns, rowHeight: Math.round((column * 9) / 16) + below + rowGap };
}

/** The layout of the last visit: a page that is come back to has its height at once, and so its place. */
const remembered = new Map<string, Layout>();

/** Measures a grid and follows the scroll position of the page. `kind` tells one kind of grid from another. */
export function useRows(count: number, layoutFor: (width: number) => Layout, kind: string) {
  const grid = useRef<HTMLUListElement>(null);
  const [layout, setLayout] = useState<Layout>(() => remembered.get(kind) ?? { columns: 4, rowHeight: 260 });
  const [rows, setRows] = useState<Window>({ first: 0, end: 6 });
  const total = Math.ceil(count / layout.columns);

  useLayoutEffect(() => {
    const element = grid.current;
    if (!element) return;
    const measure = () => {
      const next = layoutFor(element.clientWidth);
      remembered.set(kind, next);
      setLayout((old) => (old.columns === next.columns && old.rowHeight === next.rowHeight ? old : next));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [layoutFor, kind]);

  useEffect(() => {
    let frame = 0;
    const look = () => {
      frame = 0;
      const element = grid.current;
      if (!element) return;
      const next = visibleRows(element.getBoundingClientRect().top, innerHeight, total, layout.rowHeight, 2);
      setRows((old) => (old.first === next.first && old.end === next.end ? old : next));
    };
    const soon = () => {
      frame ||= requestAnimationFrame(look);
    };
    look();
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
    };
  }, [total, layout]);

  return { grid, layout, rows, total };
}
