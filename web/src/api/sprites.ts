// The small pictures of a video: which one stands for which moment. `cellAt` and `cellOf` are pure.

import type { components } from "./generated";

export type Sprites = components["schemas"]["Sprites"];
export type Sprite = components["schemas"]["Sprite"];

/** The index with the addresses of its sheets made whole. */
export async function fetchSprites(url: string, signal?: AbortSignal): Promise<Sprites> {
  const response = await fetch(url, signal ? { signal } : {});
  if (!response.ok) throw new Error(`sprites: ${response.status}`);
  const sprites = (await response.json()) as Sprites;
  const base = new URL(url, location.href);
  const sheets = sprites.sheets.map((sheet) => ({ ...sheet, url: new URL(sheet.url, base).href }));
  return { ...sprites, sheets };
}

/** The picture at a share of the whole, 0 to 1. */
export function cellAt({ cells }: Pick<Sprites, "cells">, share: number): Sprite | null {
  const at = Math.floor(Math.max(0, Math.min(1, share)) * cells.length);
  return cells[Math.min(at, cells.length - 1)] ?? null;
}

/** The picture that is nearest to a frame. */
export function cellOf({ cells }: Pick<Sprites, "cells">, frame: number): Sprite | null {
  let low = 0;
  let high = cells.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((cells[middle]?.frame ?? 0) < frame) low = middle + 1;
    else high = middle;
  }
  const [before, after] = [cells[low - 1], cells[low]];
  if (!before || !after) return after ?? before ?? null;
  return frame - before.frame < after.frame - frame ? before : after;
}
