// Requests about tags, bins, markers and comments.

import { part, request } from "./client";
import type { Bin, Clip, Facets, Labelling, Marker, MarkerChange, NewMarker, Page, Video } from "./types";

export function fetchFacets(signal?: AbortSignal) {
  return request<Facets>("GET", "/facets", { signal });
}

/** How many videos one request may label. */
const LABELLED_MAX = 200;

export async function label({ videos = [], ...wish }: Labelling): Promise<void> {
  for (let at = 0; at < videos.length; at += LABELLED_MAX) {
    await request<void>("POST", "/labels", {
      body: { ...wish, videos: videos.slice(at, at + LABELLED_MAX) },
    });
  }
}

export function createBin(name: string) {
  return request<Bin>("POST", "/bins", { body: { name } });
}

export function renameBin(id: string, name: string) {
  return request<Bin>("PATCH", `/bins/${part(id)}`, { body: { name } });
}

export function deleteBin(id: string, keepalive = false) {
  return request<void>("DELETE", `/bins/${part(id)}`, { keepalive });
}

export function renameVideo(id: string, filename: string) {
  return request<Video>("PATCH", `/videos/${part(id)}`, { body: { filename } });
}

export function orderClips(video: string, clips: readonly string[]) {
  return request<Page<Clip>>("PUT", `/videos/${part(video)}/clip-order`, { body: { clips } });
}

export function listMarkers(video: string, signal?: AbortSignal) {
  return request<Page<Marker>>("GET", `/videos/${part(video)}/markers`, { signal });
}

export function createMarker(video: string, marker: NewMarker) {
  return request<Marker>("POST", `/videos/${part(video)}/markers`, { body: marker });
}

export function changeMarker(id: string, change: MarkerChange) {
  return request<Marker>("PATCH", `/markers/${part(id)}`, { body: change });
}

export function deleteMarker(id: string, keepalive = false) {
  return request<void>("DELETE", `/markers/${part(id)}`, { keepalive });
}

export function createComment(marker: string, text: string, author: string) {
  return request<Marker>("POST", `/markers/${part(marker)}/comments`, { body: { text, author } });
}

export function changeComment(id: string, text: string) {
  return request<Marker>("PATCH", `/comments/${part(id)}`, { body: { text } });
}

export function deleteComment(id: string, keepalive = false) {
  return request<void>("DELETE", `/comments/${part(id)}`, { keepalive });
}
