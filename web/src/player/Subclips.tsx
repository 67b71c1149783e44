// The subclips of a video: play, rename in place, render, download, delete, export.

import { useState, type DragEvent, type KeyboardEvent } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { changeVideo, withClip } from "../api/events";
import { orderClips } from "../api/notes";
import { EXPORT_FORMATS, type Clip, type ClipStatus, type ExportFormat, type Video } from "../api/types";
import { clipUrl, deleteClip, exportVideo, renameClip, renderClip } from "../api/videos";
import { Chip, type Tone } from "../components/StateChip";
import { download } from "../lib/download";
import { bytes, count, percent } from "../lib/format";
import { removeSoon } from "../lib/removal";
import { say } from "../lib/toasts";
import { CLIPS, MARKS } from "../strings/player";
import { FORMATS } from "../strings/selection";
import { SHELL } from "../strings/shell";
import { ActionMenu } from "../ui/ActionMenu";
import { Icon, type IconName } from "../ui/Icon";
import type { Editor } from "./useEditor";

const LOOKS: Record<ClipStatus, [Tone, IconName]> = {
  virtual: ["idle", "film"],
  queued: ["idle", "clock"],
  rendering: ["busy", "progress"],
  ready: ["good", "check"],
  failed: ["bad", "alert"],
};

interface SubclipsProps {
  video: Video;
  editor: Editor;
  onPlay: (clip: Clip) => void;
}

export function Subclips({ video, editor, onPlay }: SubclipsProps) {
  const { clips, chosen, offered, exports, marking, markers } = editor;
  const client = useQueryClient();
  const [carried, setCarried] = useState<string | null>(null);
  const [over, setOver] = useState<string | null>(null);
  const [told, setTold] = useState("");
  /** The order stands at once, and the old one comes back if the node refuses it. */
  const arrange = async (order: readonly Clip[], kept: readonly string[]) => {
    const old = clips;
    changeVideo(client, video.id, (known) => ({ ...known, clips: [...order] }));
    try {
      const { items } = await orderClips(video.id, kept);
      changeVideo(client, video.id, (known) => ({ ...known, clips: items }));
    } catch (error) {
      changeVideo(client, video.id, (known) => ({ ...known, clips: [...old] }));
      say(`${CLIPS.orderFailed} ${error instanceof Error ? error.message : ""}`, { tone: "bad" });
    }
  };
  const move = (id: string, to: number) => {
    const from = clips.findIndex((clip) => clip.id === id);
    const clip = clips[from];
    if (!clip || to < 0 || to >= clips.length || to === from) return;
    const order = clips.toSpliced(from, 1).toSpliced(to, 0, clip);
    setTold(CLIPS.moved(clip.name, to + 1, clips.length));
    void arrange(
      order,
      order.map((each) => each.id),
    );
  };
  const byTime = [...clips].sort((a, b) => a.in_frame - b.in_frame || a.out_frame - b.out_frame);
  const arranged = byTime.some((clip, index) => clips[index]?.in_frame !== clip.in_frame);
  const drag = (clip: Clip, index: number): Drag => ({
    movable: marking && clips.length > 1,
    state: carried === clip.id ? "carried" : over === clip.id ? "over" : null,
    onMove: (by) => move(clip.id, index + by),
    onCarry: (on) => {
      setCarried(on ? clip.id : null);
      setOver(null);
    },
    onOver: () => carried !== null && setOver(clip.id),
    onDrop: () => {
      if (carried !== null) move(carried, index);
      setCarried(null);
      setOver(null);
    },
  });
  const exportAs = async (format: ExportFormat) => {
    try {
      const { name, blob } = await exportVideo(video.id, format);
      download(blob, name ?? `${video.filename.replace(/\.[^.]+$/, "")}.${format}`);
    } catch (error) {
      say(error instanceof Error ? error.message : String(error), { tone: "bad" });
    }
  };
  return (
    <section className="subclips" aria-labelledby="subclips-title">
      <div className="subclips-head">
        <h2 id="subclips-title">
          {CLIPS.title} {clips.length > 0 && <span className="hint numeric">{clips.length}</span>}
        </h2>
        <span className="sr-only" role="status">
          {told}
        </span>
        {marking && arranged && (
          <button
            className="button button-small button-quiet"
            type="button"
            onClick={() => {
              setTold(CLIPS.arranged);
              void arrange(byTime, []);
            }}
          >
            {CLIPS.byTime}
          </button>
        )}
        {exports && (
          <ActionMenu
            label={CLIPS.exportLabel}
            text={CLIPS.export}
            icon="export"
            buttonRef={editor.exportButton}
            down
            items={EXPORT_FORMATS.map((format) => ({
              key: format,
              name: FORMATS[format].name,
              note: FORMATS[format].note,
              run: () =>
                void (clips.length + markers.length === 0 ? say(CLIPS.exportNone) : exportAs(format)),
            }))}
          />
        )}
      </div>
      {offered === false ? (
        <p className="hint">{MARKS.notOffered}</p>
      ) : clips.length === 0 ? (
        <p className="hint">{CLIPS.none}</p>
      ) : (
        <ul>
          {clips.map((clip, index) => (
            <ClipRow
              key={clip.id}
              clip={clip}
              chosen={clip.id === chosen}
              drag={drag(clip, index)}
              onPlay={onPlay}
            />
          ))}
        </ul>
      )}
    </section>
  );
}

/** What moving a row in the list does. */
interface Drag {
  movable: boolean;
  state: "carried" | "over" | null;
  onMove: (by: 1 | -1) => void;
  onCarry: (on: boolean) => void;
  onOver: () => void;
  onDrop: () => void;
}

interface ClipRowProps {
  clip: Clip;
  chosen: boolean;
  drag: Drag;
  onPlay: (clip: Clip) => void;
}

function ClipRow({ clip, chosen, drag, onPlay }: ClipRowProps) {
  const client = useQueryClient();
  const [renaming, setRenaming] = useState(false);
  const [busy, setBusy] = useState(false);
  const [tone, icon] = LOOKS[clip.status];
  const set = (next: Clip) => changeVideo(client, clip.video_id, (video) => withClip(video, next));
  const refused = (error: unknown) =>
    say(error instanceof Error ? error.message : String(error), { tone: "bad" });

  // The new name stands at once, and the old one comes back if the node refuses it.
  const rename = async (name: string) => {
    setRenaming(false);
    if (name === clip.name) return;
    set({ ...clip, name });
    try {
      set(await renameClip(clip.id, name));
    } catch (error) {
      set(clip);
      refused(error);
    }
  };
  const render = async () => {
    setBusy(true);
    try {
      const answer = await renderClip(clip.id);
      if (answer) set(answer);
    } catch (error) {
      refused(error);
    }
    setBusy(false);
  };
  const remove = () =>
    removeSoon({
      ids: [clip.id],
      send: deleteClip,
      text: CLIPS.deleted(clip.name),
      undo: SHELL.undo,
      failed: CLIPS.keepFailed,
    });
  const key = (event: KeyboardEvent) => {
    if ((event.target as HTMLElement).closest("input")) return;
    if (event.altKey && drag.movable && event.key === "ArrowUp") drag.onMove(-1);
    else if (event.altKey && drag.movable && event.key === "ArrowDown") drag.onMove(1);
    else if (event.key === "F2") setRenaming(true);
    else if (event.key === "Delete") remove();
    else return;
    event.preventDefault();
  };

  return (
    <li
      className={`clip ${chosen ? "clip-chosen" : ""} ${drag.state ? `clip-${drag.state}` : ""}`}
      data-status={clip.status}
      onKeyDown={key}
      onDragOver={(event: DragEvent) => {
        // A file that is dropped here is an upload.
        if (event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        drag.onOver();
      }}
      onDrop={(event: DragEvent) => {
        if (event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        drag.onDrop();
      }}
    >
      {drag.movable ? (
        <button
          className="clip-grip"
          type="button"
          draggable
          aria-label={CLIPS.move(clip.name)}
          title={CLIPS.move(clip.name)}
          onDragStart={(event) => {
            event.dataTransfer.effectAllowed = "move";
            event.dataTransfer.setData("text/plain", clip.name);
            drag.onCarry(true);
          }}
          onDragEnd={() => drag.onCarry(false)}
        >
          <Icon name="more" />
        </button>
      ) : (
        <span />
      )}
      <button
        className="control clip-play"
        type="button"
        aria-label={CLIPS.play(clip.name)}
        title={CLIPS.play(clip.name)}
        onClick={() => onPlay(clip)}
      >
        <Icon name="play" />
      </button>
      <div className="clip-name">
        {renaming ? (
          <NameField name={clip.name} onDone={(name) => void rename(name)} />
        ) : (
          <span className="clip-title" onDoubleClick={() => setRenaming(true)}>
            {clip.name}
          </span>
        )}
        <span className="clip-range hint numeric">
          {clip.in ?? CLIPS.frame(clip.in_frame)} – {clip.out ?? CLIPS.frame(clip.out_frame)} ·{" "}
          {count(clip.duration_frames, "frame")}
        </span>
        {clip.error && <span className="bad">{clip.error.message}</span>}
      </div>
      <Chip tone={tone} icon={icon}>
        {CLIPS.states[clip.status]}
        {clip.status === "rendering" && clip.progress_permille !== undefined && (
          <span className="numeric"> {percent(clip.progress_permille)}</span>
        )}
      </Chip>
      <div className="clip-actions">
        {clip.status === "ready" ? (
          <a
            className="button button-small"
            href={clipUrl(clip.id)}
            download
            aria-label={CLIPS.downloadLabel(clip.name)}
          >
            <Icon name="download" />
            {clip.size_bytes === null ? CLIPS.download : bytes(clip.size_bytes)}
          </a>
        ) : (
          (clip.status === "virtual" || clip.status === "failed") && (
            <button
              className="button button-small"
              type="button"
              disabled={busy}
              aria-label={CLIPS.renderLabel(clip.name)}
              onClick={() => void render()}
            >
              {CLIPS.render}
            </button>
          )
        )}
        <button
          className="icon-button"
          type="button"
          aria-label={CLIPS.rename(clip.name)}
          title={`${CLIPS.rename(clip.name)} (F2)`}
          onClick={() => setRenaming(true)}
        >
          <Icon name="pencil" />
        </button>
        <button
          className="icon-button"
          type="button"
          aria-label={CLIPS.delete(clip.name)}
          title={`${CLIPS.delete(clip.name)} (Delete)`}
          onClick={remove}
        >
          <Icon name="trash" />
        </button>
      </div>
    </li>
  );
}

function NameField({ name, onDone }: { name: string; onDone: (name: string) => void }) {
  const [text, setText] = useState(name);
  const done = () => onDone(text.trim() || name);
  return (
    <input
      className="clip-field"
      aria-label={CLIPS.nameLabel}
      value={text}
      autoFocus
      maxLength={255}
      spellCheck={false}
      autoComplete="off"
      onFocus={(event) => event.currentTarget.select()}
      onChange={(event) => setText(event.target.value)}
      onBlur={done}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Enter") done();
        if (event.key === "Escape") onDone(name);
      }}
    />
  );
}
