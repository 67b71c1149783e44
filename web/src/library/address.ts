// Pure: what the library shows, and the address that says so, so that a view can be sent to a colleague.

import { VIDEO_SORTS, VIDEO_STATUSES, type VideoFilter } from "../api/client";

export interface View extends VideoFilter {
  layout: "grid" | "list";
}

export const DEFAULT_VIEW: View = { status: null, q: "", sort: "-created_at", layout: "grid" };

/** What the address asks for; whatever it does not know is the default. */
export function viewOf(search: string): View {
  const parameters = new URLSearchParams(search);
  const status = parameters.get("status");
  const sort = parameters.get("sort");
  return {
    status: VIDEO_STATUSES.find((known) => known === status) ?? null,
    sort: VIDEO_SORTS.find((known) => known === sort) ?? DEFAULT_VIEW.sort,
    q: parameters.get("q") ?? "",
    layout: parameters.get("view") === "list" ? "list" : "grid",
  };
}

export function addressOf({ q, status, sort, layout }: View): string {
  const parameters = new URLSearchParams();
  if (q) parameters.set("q", q);
  if (status) parameters.set("status", status);
  if (sort !== DEFAULT_VIEW.sort) parameters.set("sort", sort);
  if (layout !== DEFAULT_VIEW.layout) parameters.set("view", layout);
  const text = parameters.toString();
  return text ? `/?${text}` : "/";
}
