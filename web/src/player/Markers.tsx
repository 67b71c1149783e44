// The markers of a video with their threads: go there, answer, resolve, edit, delete.

import "../styles/markers.css";
import { useState, type FormEvent, type KeyboardEvent } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { changeMarkers, withMarker } from "../api/events";
import { changeComment, changeMarker, createComment, deleteComment, deleteMarker } from "../api/notes";
import type { Marker } from "../api/types";
import { author, setAuthor } from "../lib/author";
import { ago } from "../lib/format";
import { useNow } from "../lib/hooks";
import { removeSoon, useHidden } from "../lib/removal";
import { say } from "../lib/toasts";
import { MARKERS as M } from "../strings/markers";
import { SHELL } from "../strings/shell";
import { Icon } from "../ui/Icon";

interface MarkersProps {
  video: string;
  markers: readonly Marker[];
  onGo: (marker: Marker) => void;
}

export function Markers({ video, markers, onGo }: MarkersProps) {
  const client = useQueryClient();
  const hidden = useHidden();
  const now = useNow(30_000);
  const [hiding, setHiding] = useState(false);
  const known = markers.filter(({ id }) => !hidden.has(id));
  const open = known.filter(({ resolved_at }) => resolved_at === null);
  const shown = hiding ? open : known;
  const put = (marker: Marker) => changeMarkers(client, video, (all) => withMarker(all, marker));
  /** What `next` shows stands at once, and `old` comes back if the node refuses. */
  const attempt = async (old: Marker, next: Marker, send: () => Promise<Marker>): Promise<boolean> => {
    put(next);
    try {
      put(await send());
      return true;
    } catch (error) {
      put(old);
      say(error instanceof Error ? error.message : String(error), { tone: "bad" });
      return false;
    }
  };
  return (
    <section className="subclips markers" aria-labelledby="markers-title">
      <div className="subclips-head">
        <h2 id="markers-title">
          {M.title} {known.length > 0 && <span className="hint numeric">{M.open(open.length)}</span>}
        </h2>
        {open.length < known.length && (
          <label className="check">
            <input type="checkbox" checked={hiding} onChange={(event) => setHiding(event.target.checked)} />
            {M.hideResolved}
          </label>
        )}
      </div>
      {known.length === 0 ? (
        <p className="hint">{M.none}</p>
      ) : shown.length === 0 ? (
        <p className="hint">{M.allResolved}</p>
      ) : (
        <ul>
          {shown.map((marker) => (
            <Thread key={marker.id} marker={marker} now={now} attempt={attempt} onGo={onGo} />
          ))}
        </ul>
      )}
    </section>
  );
}

interface ThreadProps {
  marker: Marker;
  now: number;
  attempt: (old: Marker, next: Marker, send: () => Promise<Marker>) => Promise<boolean>;
  onGo: (marker: Marker) => void;
}

function Thread({ marker, now, attempt, onGo }: ThreadProps) {
  const hidden = useHidden();
  const [editing, setEditing] = useState<string | null>(null);
  const [replying, setReplying] = useState(false);
  const { id, text, colour, comments, resolved_at, resolved_by } = marker;
  const place = marker.in ?? M.frame(marker.in_frame);
  const name = text.split("\n")[0]?.slice(0, 60) || `${M.untitled} ${place}`;
  const resolve = () => {
    const resolved = resolved_at === null;
    const next = resolved
      ? { ...marker, resolved_at: new Date().toISOString(), resolved_by: author() }
      : { ...marker, resolved_at: null, resolved_by: null };
    void attempt(marker, next, () => changeMarker(id, { resolved, by: author() }));
  };
  const remove = () =>
    removeSoon({ ids: [id], send: deleteMarker, text: M.removed, undo: SHELL.undo, failed: M.kept });
  const reword = (wish: string) => {
    setEditing(null);
    if (wish !== text)
      void attempt(marker, { ...marker, text: wish }, () => changeMarker(id, { text: wish }));
  };
  const rewordComment = (comment: string, wish: string) => {
    setEditing(null);
    const next = comments.map((each) => (each.id === comment ? { ...each, text: wish } : each));
    void attempt(marker, { ...marker, comments: next }, () => changeComment(comment, wish));
  };
  const key = (event: KeyboardEvent) => {
    if ((event.target as HTMLElement).closest("input, textarea")) return;
    if (event.key === "F2") setEditing(id);
    else if (event.key === "Delete") remove();
    else return;
    event.preventDefault();
  };
  const shown = comments.filter((comment) => !hidden.has(comment.id));
  return (
    <li className="thread" data-resolved={resolved_at !== null} onKeyDown={key}>
      <span className="thread-dot" data-colour={colour} />
      <div className="thread-body">
        <div className="thread-head">
          <button
            className="link numeric"
            type="button"
            aria-label={M.at(place)}
            onClick={() => onGo(marker)}
          >
            {place}
          </button>
          <Said by={marker.author} at={marker.created_at} edited={marker.edited_at !== null} now={now} />
          {marker.out_frame - marker.in_frame > 1 && (
            <span className="hint numeric">{M.frames(marker.out_frame - marker.in_frame)}</span>
          )}
        </div>
        {editing === id ? (
          <TextForm label={M.edit(name)} text={text} empty onDone={(wish) => reword(wish ?? text)} />
        ) : (
          text && <p className="thread-text">{text}</p>
        )}
        {resolved_at !== null && (
          <p className="thread-resolved">
            <Icon name="check" />
            {M.resolvedBy(resolved_by ?? "")}
          </p>
        )}
        {shown.length > 0 && (
          <ul className="thread-replies" aria-label={M.replies(shown.length)}>
            {shown.map((comment) => (
              <li key={comment.id}>
                <div className="thread-head">
                  <Said
                    by={comment.author}
                    at={comment.created_at}
                    edited={comment.edited_at !== null}
                    now={now}
                  />
                  <span className="thread-tools">
                    <Tool icon="pencil" label={M.edit(comment.text)} onPress={() => setEditing(comment.id)} />
                    <Tool
                      icon="trash"
                      label={M.remove(comment.text)}
                      onPress={() =>
                        removeSoon({
                          ids: [comment.id],
                          send: deleteComment,
                          text: M.commentRemoved,
                          undo: SHELL.undo,
                          failed: M.kept,
                        })
                      }
                    />
                  </span>
                </div>
                {editing === comment.id ? (
                  <TextForm
                    label={M.edit(comment.text)}
                    text={comment.text}
                    onDone={(wish) => (wish ? rewordComment(comment.id, wish) : setEditing(null))}
                  />
                ) : (
                  <p className="thread-text">{comment.text}</p>
                )}
              </li>
            ))}
          </ul>
        )}
        {replying && (
          <ReplyForm
            label={M.replyTo(name)}
            onCancel={() => setReplying(false)}
            onSend={async (wish, by) => {
              const done = await attempt(marker, marker, () => createComment(id, wish, by));
              if (done) setReplying(false);
            }}
          />
        )}
      </div>
      <span className="thread-tools">
        <button
          className="button button-small button-quiet"
          type="button"
          aria-expanded={replying}
          aria-label={M.replyTo(name)}
          onClick={() => setReplying((open) => !open)}
        >
          {M.reply}
        </button>
        <button className="button button-small button-quiet" type="button" onClick={resolve}>
          {resolved_at === null ? M.resolve : M.reopen}
        </button>
        <Tool icon="pencil" label={M.edit(name)} onPress={() => setEditing(id)} />
        <Tool icon="trash" label={M.remove(name)} onPress={remove} />
      </span>
    </li>
  );
}

function Said({ by, at, edited, now }: { by: string; at: string; edited: boolean; now: number }) {
  return (
    <>
      <span className="thread-author">{by || M.anonymous}</span>
      <time className="hint" dateTime={at} title={new Date(at).toLocaleString()}>
        {ago(at, now)}
        {edited ? `, ${M.edited}` : ""}
      </time>
    </>
  );
}

function Tool({ icon, label, onPress }: { icon: "pencil" | "trash"; label: string; onPress: () => void }) {
  return (
    <button className="icon-button" type="button" aria-label={label} title={label} onClick={onPress}>
      <Icon name={icon} />
    </button>
  );
}

interface TextFormProps {
  label: string;
  text: string;
  /** It may say nothing. */
  empty?: boolean;
  /** `null` if nothing is to change. */
  onDone: (text: string | null) => void;
}

function TextForm({ label, text: old, empty = false, onDone }: TextFormProps) {
  const [text, setText] = useState(old);
  const done = () => onDone(text.trim() || empty ? text.trim() : null);
  return (
    <textarea
      className="thread-field"
      aria-label={label}
      value={text}
      autoFocus
      rows={2}
      maxLength={4000}
      onChange={(event) => setText(event.target.value)}
      onBlur={done}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Escape") onDone(null);
        if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
        event.preventDefault();
        done();
      }}
    />
  );
}

interface ReplyFormProps {
  label: string;
  onCancel: () => void;
  onSend: (text: string, by: string) => Promise<void>;
}

function ReplyForm({ label, onCancel, onSend }: ReplyFormProps) {
  const [text, setText] = useState("");
  const [name, setName] = useState(author);
  const [busy, setBusy] = useState(false);
  const asked = useState(() => author() === "")[0];
  const send = async (event?: FormEvent) => {
    event?.preventDefault();
    if (busy || !text.trim()) return;
    setBusy(true);
    setAuthor(name);
    await onSend(text.trim(), name.trim());
    setBusy(false);
  };
  return (
    <form
      className="thread-reply"
      onSubmit={(event) => void send(event)}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        onCancel();
      }}
    >
      <textarea
        className="thread-field"
        aria-label={label}
        value={text}
        autoFocus
        rows={2}
        maxLength={4000}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
          event.preventDefault();
          void send();
        }}
      />
      {asked && (
        <input
          className="thread-field"
          aria-label={M.author}
          placeholder={M.author}
          value={name}
          maxLength={80}
          onChange={(event) => setName(event.target.value)}
        />
      )}
      <button className="button button-small button-primary" type="submit" disabled={busy || !text.trim()}>
        {M.send}
      </button>
    </form>
  );
}
