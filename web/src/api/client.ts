// Requests to the HTTP API. Every failure is an `ApiError` with a sentence that can be shown.

import type { Job, Node, Page, Problem, Video, VideoStatus, JobState } from "./types";

const BASE = "/api/v1";

/** A refused or failed request. `status` is 0 when no answer came at all. */
export class ApiError extends Error {
  readonly status: number;
  /** Stable and lower-case, such as `video_not_found`. */
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }
}

export const VIDEO_SORTS = ["-created_at", "created_at", "filename", "-filename"] as const;
export type VideoSort = (typeof VIDEO_SORTS)[number];
export const VIDEO_STATUSES: readonly VideoStatus[] = [
  "uploading",
  "probing",
  "rendering",
  "ready",
  "failed",
];

export interface VideoFilter {
  status: VideoStatus | null;
  q: string;
  sort: VideoSort;
}

export interface JobFilter {
  video?: string;
  state?: JobState | null;
}

type Query = Record<string, string | number | null | undefined>;

export async function request<T>(
  method: "GET" | "POST" | "DELETE",
  path: string,
  query: Query = {},
  signal?: AbortSignal,
): Promise<T> {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") parameters.set(name, String(value));
  }
  const text = parameters.toString();
  let response: Response;
  try {
    response = await fetch(`${BASE}${path}${text ? `?${text}` : ""}`, {
      method,
      headers: { accept: "application/json" },
      ...(signal ? { signal } : {}),
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError(
      0,
      "unreachable",
      "The node does not answer. It may be starting, stopped or out of reach.",
    );
  }
  if (!response.ok) throw await problemOf(response);
  if (response.status === 204 || response.headers.get("content-length") === "0") return undefined as T;
  const type = response.headers.get("content-type") ?? "";
  if (!type.includes("json")) {
    if (method !== "GET") return undefined as T;
    throw new ApiError(response.status, "unexpected_answer", "What answered here is not a Reelmesh node.");
  }
  return (await response.json()) as T;
}

async function problemOf(response: Response): Promise<ApiError> {
  const fallback = `The node refused the request (${response.status} ${response.statusText}).`;
  try {
    const problem = (await response.json()) as Partial<Problem>;
    return new ApiError(
      response.status,
      problem.code ?? "unknown",
      problem.detail || problem.title || fallback,
    );
  } catch {
    return new ApiError(response.status, "unknown", fallback);
  }
}

export function listVideos(filter: VideoFilter, limit: number, cursor: string | null, signal?: AbortSignal) {
  return request<Page<Video>>("GET", "/videos", { ...filter, limit, cursor }, signal);
}

export function fetchVideo(id: string, signal?: AbortSignal) {
  return request<Video>("GET", `/videos/${encodeURIComponent(id)}`, {}, signal);
}

export function deleteVideo(id: string) {
  return request<void>("DELETE", `/videos/${encodeURIComponent(id)}`);
}

export function originalUrl(id: string): string {
  return `${BASE}/videos/${encodeURIComponent(id)}/original`;
}

export function listJobs(filter: JobFilter, limit: number, cursor: string | null, signal?: AbortSignal) {
  return request<Page<Job>>("GET", "/jobs", { ...filter, limit, cursor }, signal);
}

export function retryJob(id: string) {
  return request<Job | undefined>("POST", `/jobs/${encodeURIComponent(id)}/retry`);
}

export function cancelJob(id: string) {
  return request<Job | undefined>("POST", `/jobs/${encodeURIComponent(id)}/cancel`);
}

export function listNodes(signal?: AbortSignal) {
  return request<Page<Node>>("GET", "/nodes", {}, signal);
}

export const EVENTS_URL = `${BASE}/events`;
export const UPLOADS_URL = `${BASE}/uploads`;
