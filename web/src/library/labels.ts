// Labels many videos at once: at once on screen, back if the node refuses, and with a way back.

import type { QueryClient } from "@tanstack/react-query";
import { changeVideo } from "../api/events";
import { label } from "../api/notes";
import type { Labelling, Video } from "../api/types";
import { say } from "../lib/toasts";
import { SHELL } from "../strings/shell";

export interface Change {
  kind: "tag" | "bin";
  /** The tag, or the id of the bin. */
  value: string;
  add: boolean;
}

export function has(video: Video, { kind, value }: Pick<Change, "kind" | "value">): boolean {
  if (kind === "bin") return video.bins.includes(value);
  return video.tags.some((tag) => tag.toLowerCase() === value.toLowerCase());
}

/** The video with the change made. */
export function labelled(video: Video, change: Change): Video {
  const { kind, value, add } = change;
  if (has(video, change) === add) return video;
  if (kind === "bin") {
    return { ...video, bins: add ? [...video.bins, value] : video.bins.filter((bin) => bin !== value) };
  }
  const tags = video.tags.filter((tag) => tag.toLowerCase() !== value.toLowerCase());
  return { ...video, tags: add ? [...tags, value].sort() : tags };
}

export function wishFor(videos: readonly string[], { kind, value, add }: Change): Labelling {
  const list = add
    ? kind === "tag"
      ? "add_tags"
      : "add_bins"
    : kind === "tag"
      ? "remove_tags"
      : "remove_bins";
  return { videos: [...videos], [list]: [value] };
}

/** Makes the change on those videos that it changes, and says `text` with a way back. */
export async function relabel(
  client: QueryClient,
  videos: readonly Video[],
  change: Change,
  text: (number: number) => string,
): Promise<void> {
  const meant = videos.filter((video) => has(video, change) !== change.add).map(({ id }) => id);
  if (meant.length === 0) return;
  const back = { ...change, add: !change.add };
  const send = async (wish: Change) => {
    for (const id of meant) changeVideo(client, id, (video) => labelled(video, wish));
    try {
      await label(wishFor(meant, wish));
      return true;
    } catch (error) {
      for (const id of meant)
        changeVideo(client, id, (video) => labelled(video, { ...wish, add: !wish.add }));
      say(error instanceof Error ? error.message : String(error), { tone: "bad" });
      return false;
    }
  };
  if (await send(change))
    say(text(meant.length), { action: { name: SHELL.undo, run: () => void send(back) } });
}
