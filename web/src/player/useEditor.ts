// What a person is marking and choosing on the page of a video; player and list of subclips share it.

import { useRef, useState, type RefObject } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { changeVideo, withClip } from "../api/events";
import type { Clip, Video } from "../api/types";
import { useOffers } from "../api/useVideo";
import { createClip } from "../api/videos";
import { useHidden } from "../lib/removal";
import { say } from "../lib/toasts";
import { MARKS } from "../strings/player";
import type { ClipWish } from "./MarkBar";
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
  /** A sentence if it was refused. */
  save: (range: Range, wish: ClipWish) => Promise<string | null>;
  exportButton: RefObject<HTMLButtonElement | null>;
}

export function useEditor(video: Video): Editor {
  const client = useQueryClient();
  const offers = useOffers();
  const hidden = useHidden();
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
