// Requests about one video and its subclips.

import { BASE, part, request, send } from "./client";
import type { Clip, ClipMode, ExportFormat, Video } from "./types";

export function fetchVideo(id: string, signal?: AbortSignal) {
  return request<Video>("GET", `/videos/${part(id)}`, { signal });
}

export function originalUrl(id: string): string {
  return `${BASE}/videos/${part(id)}/original`;
}

/** A subclip to be made; `out_frame` is the first frame after it. */
export interface NewClip {
  name: string;
  in_frame: number;
  out_frame: number;
  mode?: ClipMode;
  render?: boolean;
}

export function createClip(video: string, clip: NewClip) {
  return request<Clip>("POST", `/videos/${part(video)}/clips`, { body: clip });
}

export function renameClip(id: string, name: string) {
  return request<Clip>("PATCH", `/clips/${part(id)}`, { body: { name } });
}

export function deleteClip(id: string, keepalive = false) {
  return request<void>("DELETE", `/clips/${part(id)}`, { keepalive });
}

export function renderClip(id: string) {
  return request<Clip | undefined>("POST", `/clips/${part(id)}/render`);
}

export function clipUrl(id: string): string {
  return `${BASE}/clips/${part(id)}/download`;
}

/** The subclips of a video as a file for edit software, with the name that the node gives it. */
export async function exportVideo(
  id: string,
  format: ExportFormat,
): Promise<{ name: string | null; blob: Blob }> {
  const response = await send("GET", `/videos/${part(id)}/export`, { format }, {});
  return { name: attachedName(response.headers.get("content-disposition")), blob: await response.blob() };
}

/** The file name of a `Content-Disposition` (RFC 6266); `null` if it names none. */
export function attachedName(header: string | null): string | null {
  const extended = /filename\*=utf-8''([^;\s]+)/i.exec(header ?? "")?.[1];
  try {
    if (extended) return decodeURIComponent(extended);
  } catch {
    // Not as the standard has it: the plain name is good enough.
  }
  return /filename="([^"]+)"/i.exec(header ?? "")?.[1] ?? null;
}

/** Which paths the node says it has. */
export async function describedPaths(signal?: AbortSignal): Promise<string[]> {
  const description = await request<{ paths?: Record<string, unknown> }>("GET", "/openapi.json", { signal });
  return Object.keys(description.paths ?? {});
}
