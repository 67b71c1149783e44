// Pure: what is selected in a long list, by pointer and by keyboard.

export interface Selection {
  ids: ReadonlySet<string>;
  /** Where a range begins: what was chosen last without shift. */
  anchor: string | null;
  /** Where the last range ended; another range from the same anchor takes its place. */
  reach: string | null;
}

export const NOTHING: Selection = { ids: new Set(), anchor: null, reach: null };

/** Takes `id` in or out, and begins the next range there. */
export function toggled({ ids }: Selection, id: string): Selection {
  const next = new Set(ids);
  if (!next.delete(id)) next.add(id);
  return { ids: next, anchor: id, reach: id };
}

/** From the anchor to `id`, both with it; the range before from the same anchor is given up. */
export function extended(selection: Selection, order: readonly string[], id: string): Selection {
  const { anchor, reach } = selection;
  const from = anchor === null ? -1 : order.indexOf(anchor);
  const to = order.indexOf(id);
  if (to < 0) return selection;
  if (from < 0) return { ids: new Set(selection.ids).add(id), anchor: id, reach: id };
  const next = new Set(selection.ids);
  const before = reach === null ? -1 : order.indexOf(reach);
  if (before >= 0) for (const each of between(order, from, before)) next.delete(each);
  for (const each of between(order, from, to)) next.add(each);
  return { ids: next, anchor, reach: id };
}

export function everything(order: readonly string[]): Selection {
  return { ids: new Set(order), anchor: order[0] ?? null, reach: order.at(-1) ?? null };
}

/** Without what is no longer there. */
export function kept(selection: Selection, there: ReadonlySet<string>): Selection {
  const ids = [...selection.ids].filter((id) => there.has(id));
  if (ids.length === selection.ids.size) return selection;
  const still = (id: string | null) => (id !== null && there.has(id) ? id : null);
  return { ids: new Set(ids), anchor: still(selection.anchor), reach: still(selection.reach) };
}

/** Where a key moves the focus in a grid; `null` if it moves nothing. */
export function movedTo(
  key: string,
  at: number,
  count: number,
  columns: number,
  rowsInView: number,
): number | null {
  const page = Math.max(1, rowsInView - 1) * columns;
  const by: Record<string, number> = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -columns,
    ArrowDown: columns,
    PageUp: -page,
    PageDown: page,
    Home: -at,
    End: count - 1 - at,
  };
  const step = by[key];
  if (step === undefined || count === 0) return null;
  const to = at + step;
  // A step that would leave the grid by a side goes nowhere; a page goes as far as it can.
  if (Math.abs(step) === columns && (to < 0 || to >= count)) return at;
  return Math.max(0, Math.min(count - 1, to));
}

function between(order: readonly string[], a: number, b: number): readonly string[] {
  return order.slice(Math.min(a, b), Math.max(a, b) + 1);
}
