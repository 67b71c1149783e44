// An upload of the same file that was begun elsewhere: by another browser, or by the command line.

import { UPLOADS_URL } from "../api/client";

/** What `GET /api/v1/uploads` says of one. */
interface Open {
  offset_bytes: number;
  is_active: boolean;
  url: string;
}

/** How much is compared at the begin, and before the place to go on from. */
const COMPARED_BYTES = 64 * 1024;

/** Where the node has part of `file` already and nobody sends the rest; `null` if nowhere. */
export async function findElsewhere(file: File): Promise<string | null> {
  try {
    const query = new URLSearchParams({ filename: file.name, size_bytes: String(file.size) });
    const answer = await fetch(`${UPLOADS_URL}?${query}`);
    if (!answer.ok) return null;
    const { items } = (await answer.json()) as { items: Open[] };
    const open = items
      .filter(({ offset_bytes, is_active }) => offset_bytes > 0 && !is_active)
      .sort((a, b) => b.offset_bytes - a.offset_bytes);
    for (const { url, offset_bytes } of open) {
      const last = Math.max(0, offset_bytes - COMPARED_BYTES);
      if ((await isSame(file, url, 0, offset_bytes)) && (await isSame(file, url, last, offset_bytes)))
        return new URL(url, location.href).href;
    }
  } catch {
    // It is only a short cut: without it the upload begins anew.
  }
  return null;
}

async function isSame(file: File, url: string, start: number, limit: number): Promise<boolean> {
  const end = Math.min(start + COMPARED_BYTES, limit);
  const answer = await fetch(url, { headers: { Range: `bytes=${start}-${end - 1}` } });
  if (answer.status !== 206) return false;
  const there = new Uint8Array(await answer.arrayBuffer());
  const here = new Uint8Array(await file.slice(start, end).arrayBuffer());
  return there.length === here.length && there.every((byte, at) => byte === here[at]);
}
