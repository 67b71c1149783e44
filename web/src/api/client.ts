// Requests to the HTTP API. Every failure is an `ApiError` with a sentence that can be shown.

import { parametersOf, type VideoFilter } from "./filter";
import type { Page, Problem, Video } from "./types";

export const BASE = "/api/v1";

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

type Query = Record<string, string | number | null | undefined>;

interface Options {
  query?: Query;
  body?: unknown;
  signal?: AbortSignal | undefined;
  /** The page may close before the answer comes. */
  keepalive?: boolean;
}

export async function request<T>(
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
  path: string,
  { query = {}, body, signal, keepalive = false }: Options = {},
): Promise<T> {
  const response = await send(method, path, query, {
    headers: {
      accept: "application/json",
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    body: body === undefined ? null : JSON.stringify(body),
    keepalive,
    ...(signal ? { signal } : {}),
  });
  if (response.status === 204 || response.headers.get("content-length") === "0") return undefined as T;
  const type = response.headers.get("content-type") ?? "";
  if (!type.includes("json")) {
    if (method !== "GET") return undefined as T;
    throw new ApiError(response.status, "unexpected_answer", "What answered here is not a Reelmesh node.");
  }
  return (await response.json()) as T;
}

/** Sends a request and throws what was refused. */
export async function send(method: string, path: string, query: Query, init: RequestInit): Promise<Response> {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") parameters.set(name, String(value));
  }
  const text = parameters.toString();
  let response: Response;
  try {
    response = await fetch(`${BASE}${path}${text ? `?${text}` : ""}`, { method, ...init });
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw new ApiError(
      0,
      "unreachable",
      "The node does not answer. It may be starting, stopped or out of reach.",
    );
  }
  if (!response.ok) throw await problemOf(response);
  return response;
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

export const part = (id: string) => encodeURIComponent(id);

export function listVideos(filter: VideoFilter, limit: number, cursor: string | null, signal?: AbortSignal) {
  return request<Page<Video>>("GET", "/videos", {
    query: { ...parametersOf(filter), limit, cursor },
    signal,
  });
}

export function deleteVideo(id: string, keepalive = false) {
  return request<void>("DELETE", `/videos/${part(id)}`, { keepalive });
}

export const EVENTS_URL = `${BASE}/events`;
export const UPLOADS_URL = `${BASE}/uploads`;
