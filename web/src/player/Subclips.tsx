// The subclips of a video: play, rename in place, render, download, delete, export.

import { useState, type KeyboardEvent } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { changeVideo, withClip } from "../api/events";
import { EXPORT_FORMATS, type Clip, type ClipStatus, type ExportFormat, type Video } from "../api/types";
import { clipUrl, deleteClip, exportVideo, renameClip, renderClip } from "../api/videos";
import { Chip, type Tone } from "../components/StateChip";
import { download } from "../lib/download";
import { bytes, count } from "../lib/format";
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
  const { clips, chosen, offered, exports } = editor;
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
          {CLIPS.title}
          {clips.length > 0 && <span className="hint numeric">{clips.length}</span>}
        </h2>
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
              run: () => void (clips.length === 0 ? say(CLIPS.exportNone) : exportAs(format)),
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
          {clips.map((clip) => (
            <ClipRow key={clip.id} clip={clip} chosen={clip.id === chosen} onPlay={onPlay} />
          ))}
        </ul>
      )}
    </section>
  );
}

function ClipRow({ clip, chosen, onPlay }: { clip: Clip; chosen: boolean; onPlay: (clip: Clip) => void }) {
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
    if (event.key === "F2") setRenaming(true);
    else if (event.key === "Delete") remove();
    else return;
    event.preventDefault();
  };

  return (
    <li className={chosen ? "clip clip-chosen" : "clip"} data-status={clip.status} onKeyDown={key}>
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
          {clip.in} – {clip.out} · {count(clip.duration_frames, "frame")}
        </span>
        {clip.error && <span className="bad">{clip.error.message}</span>}
      </div>
      <Chip tone={tone} icon={icon}>
        {CLIPS.states[clip.status]}
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
