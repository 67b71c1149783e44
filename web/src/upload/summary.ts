// What the rest of the site knows of the uploads, without loading the code that does them.

import { useSyncExternalStore } from "react";
import { navigate } from "../lib/router";

export interface UploadSummary {
  /** How many uploads are under way. */
  active: number;
  /** Of all their bytes together. */
  permille: number;
}

let summary: UploadSummary = { active: 0, permille: 0 };
let handed: File[] = [];
const listeners = new Set<() => void>();

function tell() {
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function publishSummary(next: UploadSummary) {
  if (next.active === summary.active && next.permille === summary.permille) return;
  summary = next;
  tell();
}

export function useUploadSummary(): UploadSummary {
  return useSyncExternalStore(subscribe, () => summary);
}

/** Goes to the upload page with these files; they wait here until its code has come. */
export function uploadFiles(files: Iterable<File>) {
  handed = [...handed, ...files];
  if (handed.length === 0) return;
  if (location.pathname !== "/upload") navigate("/upload");
  tell();
}

/** Takes what was handed over, once. */
export function takeHandedFiles(): File[] {
  const files = handed;
  handed = [];
  return files;
}

/** Calls back when files may have been handed over. */
export function onHandedFiles(listener: () => void): () => void {
  return subscribe(listener);
}
