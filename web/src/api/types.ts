// JSON bodies of the HTTP API, `/api/v1`: the generated ones under the names that the rest of the client uses.

import type { components } from "./generated";

/** A node always writes every field, `null` where there is nothing; the description calls those optional. */
type Whole<T> = T extends readonly (infer U)[]
  ? Whole<U>[]
  : T extends object
    ? { [K in keyof T]-?: Whole<Exclude<T[K], undefined>> }
    : T;
type Body<Name extends keyof components["schemas"]> = Whole<components["schemas"][Name]>;
type Request<Name extends keyof components["schemas"]> = components["schemas"][Name];

export interface Page<T> {
  items: T[];
  /** `cursor` of the next page; `null` on the last. */
  next_cursor: string | null;
  /** How many items match, on all pages together. */
  total: number;
}

export type VideoStatus = Body<"VideoStatus">;
export type JobState = Body<"JobState">;
/** Frames per second as a fraction in lowest terms; never zero. */
export type FrameRate = Body<"FrameRate">;
export type Thumbnail = Body<"Thumbnail">;
export type AudioTrack = Body<"AudioTrack">;
export type Rendition = Body<"Rendition">;
export type Video = Body<"Video">;
export type VideoError = Body<"VideoError">;

/** How a subclip is cut when it is rendered. */
export type ClipMode = Body<"Mode">;
export type ClipStatus = Body<"ClipStatus">;
export type Clip = Body<"Clip">;

export const EXPORT_FORMATS = ["edl", "fcpxml", "fcp7xml", "otio", "csv"] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

export type Bin = Body<"Bin">;
export type Facets = Body<"Facets">;
export type Labelling = Partial<Request<"Labelling">>;
export type Marker = Body<"Marker">;
export type MarkerChange = Partial<Request<"MarkerChange">>;
export type NewMarker = Partial<Request<"NewMarker">>;
export type Colour = Body<"Colour">;
export const COLOURS: readonly Colour[] = ["red", "yellow", "green", "cyan", "blue", "magenta"];

export type Failure = Body<"Failure">;
export type Job = Body<"Job">;
export type Node = Body<"Node">;
export type JoinToken = Body<"JoinToken">;
export type Problem = Body<"Problem">;

/** What each server-sent event carries as data, by the name of the event. */
export interface EventData {
  video: Video;
  video_deleted: { id: string };
  clip: Clip;
  clip_deleted: { id: string; video_id?: string };
  marker: Marker;
  marker_deleted: { id: string; video_id: string };
  bins: Record<string, never>;
  job: Job;
  node: Node;
  reset: Record<string, never>;
}
