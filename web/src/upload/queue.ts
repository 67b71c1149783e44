// The uploads of this tab: sends files by tus, outlives the upload page, and remembers unfinished ones over a reload.
//
// All decisions are in `session.ts`; here are the clock, the network and the browser's storage.

import { useSyncExternalStore } from "react";
import { defaultOptions, DetailedError, Upload, type HttpResponse, type PreviousUpload } from "tus-js-client";
import { UPLOADS_URL } from "../api/client";
import type { Problem } from "../api/types";
import { findElsewhere } from "./elsewhere";
import {
  isRetryable,
  isStalled,
  isUnderWay,
  openSession,
  startable,
  step,
  type Event,
  type Session,
} from "./session";
import { onHandedFiles, publishSummary, takeHandedFiles } from "./summary";

/** Two at a time: one fills the line, the next is there when it ends. */
const AT_ONCE = 2;
/** Bytes in one request. After a break the node knows its own offset, so this only bounds what a proxy buffers. */
const CHUNK_BYTES = 32 * 1024 * 1024;
const TICK_MS = 500;

/** An upload that an earlier visit left unfinished. */
export interface Unfinished {
  key: string;
  filename: string;
  sizeBytes: number;
  /** What the node has of it; `null` until it said so. */
  offsetBytes: number | null;
  previous: PreviousUpload;
}

export interface Queue {
  sessions: readonly Session[];
  unfinished: readonly Unfinished[];
}

interface Entry {
  file: File;
  upload: Upload;
}

let queue: Queue = { sessions: [], unfinished: [] };
const entries = new Map<string, Entry>();
const listeners = new Set<() => void>();
let nextKey = 1;

export function useQueue(): Queue {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => queue,
  );
}

/** Puts files in the queue; one that is already in it is left alone. Returns how many were added. */
export function addFiles(files: Iterable<File>): number {
  let added = 0;
  for (const file of files) {
    const known = queue.sessions.some(
      ({ key, phase }) => phase !== "done" && isSameFile(entries.get(key)?.file, file),
    );
    if (known) continue;
    addFile(file, null);
    added += 1;
  }
  void schedule();
  return added;
}

/** Goes on with an unfinished upload, if `file` is the one it was begun with. */
export async function resumeWith(unfinished: Unfinished, file: File): Promise<boolean> {
  if (file.name !== unfinished.filename || file.size !== unfinished.sizeBytes) return false;
  const previous = await newUpload(file, "").findPreviousUploads();
  const match = previous.find(({ uploadUrl }) => uploadUrl === unfinished.previous.uploadUrl);
  if (!match) return false;
  addFile(file, match, unfinished.offsetBytes ?? 0);
  void schedule();
  return true;
}

/** Forgets an unfinished upload and tells the node to do so too. */
export async function discard(unfinished: Unfinished) {
  update({ unfinished: queue.unfinished.filter(({ key }) => key !== unfinished.key) });
  await defaultOptions.urlStorage?.removeUpload(unfinished.key);
  if (unfinished.previous.uploadUrl)
    await Upload.terminate(unfinished.previous.uploadUrl).catch(() => undefined);
}

export function pause(key: string) {
  dispatch(key, { kind: "pause" });
  void entries.get(key)?.upload.abort();
  void schedule();
}

export function resume(key: string) {
  dispatch(key, { kind: "resume" });
  void schedule();
}

/** Takes an upload out of the queue; what the node has of it is thrown away unless it is whole. */
export function remove(key: string) {
  const session = queue.sessions.find((each) => each.key === key);
  const entry = entries.get(key);
  entries.delete(key);
  update({ sessions: queue.sessions.filter((each) => each.key !== key) });
  if (entry && session && session.phase !== "done") void entry.upload.abort(true).catch(() => undefined);
  void schedule();
}

export function clearDone() {
  for (const { key, phase } of queue.sessions) if (phase === "done") entries.delete(key);
  update({ sessions: queue.sessions.filter(({ phase }) => phase !== "done") });
}

function isSameFile(a: File | undefined, b: File): boolean {
  return a?.name === b.name && a.size === b.size && a.lastModified === b.lastModified;
}

function addFile(file: File, previous: PreviousUpload | null, sentBytes = 0) {
  const key = `upload-${nextKey++}`;
  const upload = newUpload(file, key);
  if (previous) upload.resumeFromPreviousUpload(previous);
  entries.set(key, { file, upload });
  update({
    sessions: [...queue.sessions, openSession(key, file.name, file.size, sentBytes)],
    unfinished: queue.unfinished.filter(
      ({ previous: old }) => old.uploadUrl !== previous?.uploadUrl || !previous,
    ),
  });
}

function newUpload(file: File, key: string): Upload {
  let videoId: string | null = null;
  return new Upload(file, {
    endpoint: new URL(UPLOADS_URL, location.href).href,
    metadata: { filename: file.name, filetype: file.type || "application/octet-stream" },
    chunkSize: CHUNK_BYTES,
    // Trying again is decided in `session.ts`.
    retryDelays: null,
    removeFingerprintOnSuccess: true,
    onProgress: (sentBytes) => dispatch(key, { kind: "progress", atMs: Date.now(), sentBytes }),
    onAfterResponse: (_request, response: HttpResponse) => {
      videoId = response.getHeader("Reelmesh-Video-Id") || videoId;
    },
    onSuccess: () => {
      dispatch(key, { kind: "finish", videoId });
      void schedule();
    },
    onError: (error) => {
      const response = error instanceof DetailedError ? error.originalResponse : null;
      const status = response?.getStatus() ?? null;
      dispatch(key, {
        kind: "broke",
        atMs: Date.now(),
        problem: sentence(status, response?.getBody() ?? ""),
        retryable: isRetryable(status),
      });
      void schedule();
    },
  });
}

/** The node's own sentence, or ours when it sent none. */
function sentence(status: number | null, body: string): string {
  if (!status) return "The connection to the node broke.";
  try {
    const { detail } = JSON.parse(body) as Partial<Problem>;
    if (detail) return detail;
  } catch {
    // Not a problem document: something between us and the node answered.
  }
  if (status === 413) return "The file is larger than this node accepts.";
  return `The node refused the upload (${status}).`;
}

function dispatch(key: string, event: Event) {
  const at = queue.sessions.findIndex((session) => session.key === key);
  const old = queue.sessions[at];
  if (!old) return;
  const next = step(old, event);
  if (next !== old) update({ sessions: queue.sessions.with(at, next) });
}

function update(part: Partial<Queue>) {
  queue = { ...queue, ...part };
  const under = queue.sessions.filter(isUnderWay);
  const size = under.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const sent = under.reduce((sum, { sentBytes }) => sum + sentBytes, 0);
  publishSummary({ active: under.length, permille: size > 0 ? Math.floor((sent * 1000) / size) : 0 });
  for (const listener of listeners) listener();
}

let ticking: ReturnType<typeof setInterval> | undefined;

/** Looks at every session and does what is due. Called on each change, and by the clock while any is under way. */
function schedule() {
  const nowMs = Date.now();
  for (const session of queue.sessions) {
    if (!isStalled(session, nowMs)) continue;
    void entries.get(session.key)?.upload.abort();
    dispatch(session.key, {
      kind: "broke",
      atMs: nowMs,
      problem: "Nothing got through for a while.",
      retryable: true,
    });
  }
  for (const { key } of startable(queue.sessions, nowMs, AT_ONCE)) {
    dispatch(key, { kind: "start", atMs: nowMs });
    void begin(key);
  }
  if (queue.sessions.some(isUnderWay)) {
    ticking ??= setInterval(schedule, TICK_MS);
  } else {
    clearInterval(ticking);
    ticking = undefined;
  }
}

async function begin(key: string) {
  const entry = entries.get(key);
  if (!entry) return;
  const { upload } = entry;
  if (upload.url === null) {
    // The same file, left unfinished earlier: go on from there without being asked.
    const [previous] = await upload.findPreviousUploads().catch(() => []);
    const phase = queue.sessions.find((session) => session.key === key)?.phase;
    if (phase !== "sending") return;
    if (previous) {
      upload.resumeFromPreviousUpload(previous);
      update({
        unfinished: queue.unfinished.filter(({ previous: old }) => old.uploadUrl !== previous.uploadUrl),
      });
    } else {
      const url = await findElsewhere(entry.file);
      if (queue.sessions.find((session) => session.key === key)?.phase !== "sending") return;
      if (url) upload.url = url;
    }
  }
  upload.start();
}

/** Finds what earlier visits left, asks the node how far each is, and forgets those it no longer knows. */
export async function findUnfinished() {
  const storage = defaultOptions.urlStorage;
  const stored = (await storage?.findAllUploads()) ?? [];
  const running = new Set([...entries.values()].map(({ upload }) => upload.url));
  const found = stored
    .filter(({ uploadUrl }) => uploadUrl !== null && !running.has(uploadUrl))
    .map((previous) => ({
      key: previous.urlStorageKey,
      filename: previous.metadata["filename"] ?? "A file",
      sizeBytes: previous.size ?? 0,
      offsetBytes: null,
      previous,
    }));
  update({ unfinished: found });
  await Promise.all(
    found.map(async ({ key, previous }) => {
      const answer = await fetch(previous.uploadUrl ?? "", {
        method: "HEAD",
        headers: { "Tus-Resumable": "1.0.0" },
      }).catch(() => null);
      if (!answer) return;
      const offset = Number(answer.headers.get("Upload-Offset") ?? NaN);
      const gone = answer.status === 404 || answer.status === 410 || offset === previous.size;
      if (gone) await storage?.removeUpload(key);
      update({
        unfinished: gone
          ? queue.unfinished.filter((each) => each.key !== key)
          : queue.unfinished.map((each) =>
              each.key === key && Number.isFinite(offset) ? { ...each, offsetBytes: offset } : each,
            ),
      });
    }),
  );
}

onHandedFiles(takeFiles);
function takeFiles() {
  addFiles(takeHandedFiles());
}
takeFiles();

addEventListener("beforeunload", (event) => {
  if (queue.sessions.some(isUnderWay)) event.preventDefault();
});
// Back online: do not wait for the rest of the delay.
addEventListener("online", () => {
  for (const { key, phase } of queue.sessions) if (phase === "waiting") resume(key);
});
