// Requests about jobs and nodes.

import { part, request } from "./client";
import type { Job, JobState, JoinToken, Node, Page } from "./types";

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

/** How long a token that is made here lets a machine in. */
const TOKEN_VALID_S = 3600;

export function createToken(role: string) {
  return request<JoinToken>("POST", "/tokens", { body: { role, valid_for_s: TOKEN_VALID_S } });
}

export function fetchNode(name: string, signal?: AbortSignal) {
  return request<Node>("GET", `/nodes/${part(name)}`, { signal });
}

export function drainNode(name: string, draining: boolean) {
  return request<Node>("POST", `/nodes/${part(name)}/drain`, { body: { draining } });
}

export function removeNode(name: string) {
  return request<void>("DELETE", `/nodes/${part(name)}`);
}

export function listNodes(signal?: AbortSignal) {
  return request<Page<Node>>("GET", "/nodes", { signal });
}
