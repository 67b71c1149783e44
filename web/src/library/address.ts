// Pure: what the library shows, and the address that says so, so that a view can be sent to a colleague.

import { EVERYTHING, VIDEO_SORTS, VIDEO_STATUSES, type VideoFilter } from "../api/filter";

export interface View extends VideoFilter {
  layout: "grid" | "list";
}

export const DEFAULT_VIEW: View = { ...EVERYTHING, layout: "grid" };

/** What the address asks for; whatever it does not know is the default. */
export function viewOf(search: string): View {
  const parameters = new URLSearchParams(search);
  const status = parameters.get("status");
  const sort = parameters.get("sort");
  const day = (name: string) => {
    const text = parameters.get(name) ?? "";
    return /^\d{4}-\d\d-\d\d$/.test(text) ? text : null;
  };
  return {
    status: VIDEO_STATUSES.find((known) => known === status) ?? null,
    sort: VIDEO_SORTS.find((known) => known === sort) ?? DEFAULT_VIEW.sort,
    q: parameters.get("q") ?? "",
    tags: parameters.getAll("tag").filter(Boolean),
    bin: parameters.get("bin") || null,
    rate: /^\d+(\/\d+)?$/.exec(parameters.get("rate") ?? "")?.[0] ?? null,
    site: parameters.get("site") || null,
    from: day("from"),
    to: day("to"),
    layout: parameters.get("view") === "list" ? "list" : "grid",
  };
}

export function addressOf({ q, status, sort, layout, tags, bin, rate, site, from, to }: View): string {
  const parameters = new URLSearchParams();
  const set = (name: string, value: string | null) => value && parameters.set(name, value);
  set("q", q);
  set("status", status);
  for (const tag of tags) parameters.append("tag", tag);
  set("bin", bin);
  set("rate", rate);
  set("site", site);
  set("from", from);
  set("to", to);
  if (sort !== DEFAULT_VIEW.sort) parameters.set("sort", sort);
  if (layout !== DEFAULT_VIEW.layout) parameters.set("view", layout);
  const text = parameters.toString();
  return text ? `/?${text}` : "/";
}

/** How many filters beside name and state are set. */
export function narrowings({ tags, bin, rate, site, from, to }: View): number {
  return tags.length + [bin, rate, site, from, to].filter(Boolean).length;
}

/** The view without any filter. */
export function widened({ sort, layout }: View): View {
  return { ...DEFAULT_VIEW, sort, layout };
}
