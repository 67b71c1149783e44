// Work on many videos at once: one request after the other, so that a node is not flooded by one person.

import { zipSync } from "fflate";
import type { ExportFormat, Video } from "../api/types";
import { exportVideo } from "../api/videos";
import { listJobs, retryJob } from "../api/work";
import { download } from "../lib/download";

/** The subclips of the videos for edit software: a file for one video, an archive of files for several. */
export async function exportSubclips(videos: readonly Video[], format: ExportFormat): Promise<void> {
  const files: Record<string, Uint8Array> = {};
  for (const video of videos) {
    const { name, blob } = await exportVideo(video.id, format);
    const wanted = name ?? `${video.filename.replace(/\.[^.]+$/, "")}.${format}`;
    if (videos.length === 1) return download(blob, wanted);
    files[unused(wanted, files)] = new Uint8Array(await blob.arrayBuffer());
  }
  const bytes = zipSync(files, { level: 6 });
  download(new Blob([bytes as BlobPart], { type: "application/zip" }), `subclips-${format}.zip`);
}

/** `a.edl`, `a-2.edl`: two cameras often give the same name. */
export function unused(name: string, taken: Record<string, unknown>): string {
  if (!(name in taken)) return name;
  const dot = name.lastIndexOf(".");
  const [stem, ending] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""];
  for (let number = 2; ; number += 1) {
    const next = `${stem}-${number}${ending}`;
    if (!(next in taken)) return next;
  }
}

/** Runs the failed work of these videos again; answers how many jobs that were. */
export async function retryWork(videos: readonly Video[]): Promise<number> {
  let started = 0;
  for (const video of videos) {
    const { items } = await listJobs({ video: video.id, state: "failed" }, 200, null);
    for (const { id } of items.filter(({ failure }) => failure?.class !== "input")) {
      await retryJob(id);
      started += 1;
    }
  }
  return started;
}
