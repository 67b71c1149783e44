// Requests about jobs and nodes.

import { part, request } from "./client";
import type { Job, JobState, Node, Page } from "./types";

export interface JobFilter {
  video?: string;
  state?: JobState | null;
}

export function listJobs(filter: JobFilter, limit: number, cursor: string | null, signal?: AbortSignal) {
  return request<Page<Job>>("GET", "/jobs", { query: { ...filter, limit, cursor }, signal });
}

export function retryJob(id: string) {
  return request<Job | undefined>("POST", `/jobs/${part(id)}/retry`);
}

export function cancelJob(id: string) {
  return request<Job | undefined>("POST", `/jobs/${part(id)}/cancel`);
}

export function listNodes(signal?: AbortSignal) {
  return request<Page<Node>>("GET", "/nodes", { signal });
}
