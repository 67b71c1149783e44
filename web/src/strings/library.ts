// What the library says.

import { count } from "../lib/format";

const videos = (number: number) => count(number, "video");

export const LIBRARY = {
  title: "Library",
  videos,
  loading: "Loading the library",
  search: "Search by name",
  state: "State",
  everyState: "Every state",
  order: "Order",
  orders: {
    "-created_at": "Newest first",
    created_at: "Oldest first",
    filename: "Name, A to Z",
    "-filename": "Name, Z to A",
    duration: "Shortest first",
    "-duration": "Longest first",
  },
  layout: "Layout",
  grid: "Grid",
  list: "List",
  cannotShow: "The library cannot be shown",
  nothing: "Nothing matches",
  nothingWhy: "No video is as the search and the filters ask.",
  filters: "Filters",
  showAll: "Show every video",
  progress: "Progress",
  moreFailed: "The next videos did not come.",
  again: "Try again",
  select: (name: string) => `Select ${name}`,
  columns: { name: "Name", state: "State", length: "Length", format: "Format", size: "Size", added: "Added" },
  empty: {
    title: "Drop a video here",
    why: "Anywhere on this page will do. It is kept untouched, and a proxy that plays everywhere is rendered from it.",
    choose: "Choose files",
    label: "Videos to upload",
    or: "or from a terminal, over QUIC",
  },
  deleted: (number: number, name: string) =>
    number === 1 ? `${name} is deleted.` : `${videos(number)} are deleted.`,
  keepFailed: "It could not be deleted.",
} as const;
