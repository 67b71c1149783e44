// What a person is marking and choosing on the page of a video; player and list of subclips share it.

import { useRef, useState, type RefObject } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { changeMarkers, changeVideo, withClip, withMarker } from "../api/events";
import { createMarker } from "../api/notes";
import type { Clip, Marker, Video } from "../api/types";
import { useMarkers } from "../api/useNotes";
import { useOffers } from "../api/useVideo";
import { createClip } from "../api/videos";
import { useHidden } from "../lib/removal";
import { say } from "../lib/toasts";
import { MARKS } from "../strings/player";
import type { ClipWish } from "./MarkBar";
import type { MarkerWish } from "./MarkerForm";
import { UNMARKED, type Marks, type Range } from "./marks";

export interface Editor {
  marks: Marks;
  setMarks: (marks: Marks) => void;
  clips: readonly Clip[];
  /** The subclip that was played or saved last. */
  chosen: string | null;
  /** Marks the range of a subclip. */
  choose: (clip: Clip) => void;
  /** Whether the node makes subclips; `null` until it is known. */
  offered: boolean | null;
  exports: boolean;
  markers: readonly Marker[];
  /** Whether the node keeps markers. */
  marking: boolean;
  /** Pins a marker to these pictures; a sentence if it was refused. */
  pin: (range: Range, wish: MarkerWish) => Promise<string | null>;
  /** A sentence if it was refused. */
  save: (range: Range, wish: ClipWish) => Promise<string | null>;
  exportButton: RefObject<HTMLButtonElement | null>;
}

const NO_MARKERS: readonly Marker[] = [];

export function useEditor(video: Video): Editor {
  const client = useQueryClient();
  const offers = useOffers();
  const hidden = useHidden();
  const marking = offers?.markers ?? false;
  const markers = useMarkers(video.id, marking).data?.items ?? NO_MARKERS;
  const [marks, setMarks] = useState(UNMARKED);
  const [chosen, setChosen] = useState<string | null>(null);
  const exportButton = useRef<HTMLButtonElement>(null);
  return {
    marks,
    setMarks,
    clips: (video.clips ?? []).filter(({ id }) => !hidden.has(id)),
    chosen,
    choose: (clip) => {
      setChosen(clip.id);
      setMarks({ in: clip.in_frame, out: clip.out_frame });
    },
    offered: offers && offers.clips,
    exports: offers?.exports ?? false,
    markers: markers.filter(({ id }) => !hidden.has(id)),
    marking,
    pin: async (range, wish) => {
      try {
        const marker = await createMarker(video.id, {
          ...wish,
          in_frame: range.in,
          out_frame: range.out,
        });
        changeMarkers(client, video.id, (all) => withMarker(all, marker));
        say(MARKS.markerSet);
        return null;
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    },
    save: async (range, { name, mode, render }) => {
      try {
        const clip = await createClip(video.id, {
          name,
          mode,
          in_frame: range.in,
          out_frame: range.out,
          ...(render ? { render } : {}),
        });
        changeVideo(client, video.id, (old) => withClip(old, clip));
        setChosen(clip.id);
        setMarks(UNMARKED);
        say(MARKS.saved(clip.name));
        return null;
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    },
    exportButton,
  };
}
