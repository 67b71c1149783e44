// What the filters and the dialog of tags and bins say.

import { count } from "../lib/format";

const videos = (number: number) => count(number, "video");

export const FILTERS = {
  label: "Filters",
  bin: "Bin",
  everyBin: "Every bin",
  tag: "Tag",
  anyTag: "Any tag",
  without: (tag: string) => `Without the filter ${tag}`,
  rate: "Frame rate",
  everyRate: "Every rate",
  fps: (rate: string) => `${rate} fps`,
  site: "Site",
  everySite: "Every site",
  from: "Added from",
  to: "to",
  clear: "Clear the filters",
  counted: (name: string, number: number) => `${name} (${number})`,
  newBin: "New bin",
  renameBin: "Rename the bin",
  deleteBin: "Delete the bin",
  binDeleted: (name: string) => `The bin ${name} is deleted; its videos stay in the library.`,
  binKept: "The bin could not be deleted.",
  binName: "Name of the bin",
  save: "Save",
  cancel: "Cancel",
} as const;

export const LABELS = {
  title: (number: number, name: string) =>
    number === 1 ? `Tags and bins of ${name}` : `Tags and bins of ${videos(number)}`,
  tags: "Tags",
  bins: "Bins",
  noBins: "There are no bins yet.",
  add: "Add",
  addTag: "Add a tag",
  newBin: "Make a bin",
  some: (number: number, total: number) => `${number} of ${total}`,
  done: "Done",
  tagged: (number: number, tag: string) => `${videos(number)} tagged ${tag}.`,
  untagged: (number: number, tag: string) => `The tag ${tag} is taken from ${videos(number)}.`,
  filed: (number: number, bin: string) => `${videos(number)} put into ${bin}.`,
  unfiled: (number: number, bin: string) => `${videos(number)} taken out of ${bin}.`,
} as const;
