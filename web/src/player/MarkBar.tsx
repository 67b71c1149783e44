// In and out under the picture, and the form that makes a subclip of them.

import { useState, type FormEvent } from "react";
import type { ClipMode } from "../api/types";
import { count } from "../lib/format";
import { MARKS } from "../strings/player";
import { Icon } from "../ui/Icon";
import type { Action } from "./keys";
import type { Marks, Range } from "./marks";

export interface ClipWish {
  name: string;
  mode: ClipMode;
  render: boolean;
}

interface MarkBarProps {
  marks: Marks;
  range: Range | null;
  label: (frame: number) => string;
  /** The length of so many frames as a timecode. */
  lengthOf: (frames: number) => string;
  looping: boolean;
  /** Whether the node makes subclips. */
  offered: boolean;
  /** Whether the node keeps markers. */
  marking: boolean;
  naming: boolean;
  suggested: string;
  act: (action: Action) => void;
  onCancel: () => void;
  /** A sentence if it was refused. */
  onSave: (wish: ClipWish) => Promise<string | null>;
}

export function MarkBar(props: MarkBarProps) {
  const { marks, range, label, lengthOf, looping, offered, marking, naming, act } = props;
  return (
    <div className="marks" role="group" aria-label={MARKS.label}>
      <div className="marks-row numeric">
        <button
          className="control control-text"
          type="button"
          title={MARKS.markIn}
          onClick={() => act({ kind: "mark", what: "in" })}
        >
          <Icon name="markIn" />
          {MARKS.in}
          <span className="mark-time" data-testid="mark-in">
            {marks.in === null ? "–" : label(marks.in)}
          </span>
        </button>
        <button
          className="control control-text"
          type="button"
          title={`${MARKS.markOut}. ${MARKS.outNote}`}
          onClick={() => act({ kind: "mark", what: "out" })}
        >
          <Icon name="markOut" />
          {MARKS.out}
          <span className="mark-time" data-testid="mark-out">
            {marks.out === null ? "–" : label(marks.out)}
          </span>
        </button>
        <button
          className="control"
          type="button"
          aria-pressed={looping}
          aria-label={MARKS.loop}
          title={MARKS.loop}
          onClick={() => act({ kind: "range", mode: "loop" })}
        >
          <Icon name="loop" />
        </button>
        {marking && (
          <button
            className="control control-text"
            type="button"
            title={MARKS.setMarker}
            onClick={() => act({ kind: "marker" })}
          >
            <Icon name="marker" />
            {MARKS.marker}
          </button>
        )}
        {range ? (
          <>
            <button
              className="control"
              type="button"
              aria-label={MARKS.clear}
              title={MARKS.clear}
              onClick={() => act({ kind: "unmark", what: "both" })}
            >
              <Icon name="cancel" />
            </button>
            <span className="marks-length hint">
              {lengthOf(range.out - range.in)} · {count(range.out - range.in, "frame")}
            </span>
            {offered && !naming && (
              <button
                className="button button-small marks-save"
                type="button"
                onClick={() => act({ kind: "save" })}
              >
                <Icon name="plus" />
                {MARKS.save}
              </button>
            )}
          </>
        ) : (
          <span className="marks-hint hint">{offered ? MARKS.hint : ""}</span>
        )}
      </div>
      {naming && <SaveForm {...props} />}
    </div>
  );
}

function SaveForm({ suggested, onCancel, onSave }: MarkBarProps) {
  const [name, setName] = useState(suggested);
  const [mode, setMode] = useState<ClipMode>("smart");
  const [render, setRender] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setProblem(await onSave({ name: name.trim(), mode, render }));
    setBusy(false);
  };
  return (
    <form
      className="marks-form"
      onSubmit={(event) => void submit(event)}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        onCancel();
      }}
    >
      <label className="field">
        <span>{MARKS.name}</span>
        <input
          value={name}
          autoFocus
          required
          maxLength={255}
          spellCheck={false}
          autoComplete="off"
          onFocus={(event) => event.currentTarget.select()}
          onChange={(event) => setName(event.target.value)}
        />
      </label>
      <label className="field field-mode">
        <span>{MARKS.mode}</span>
        <span className="select">
          <select value={mode} onChange={(event) => setMode(event.target.value as ClipMode)}>
            {Object.entries(MARKS.modes).map(([value, text]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </select>
          <Icon name="chevronDown" />
        </span>
      </label>
      <label className="check">
        <input type="checkbox" checked={render} onChange={(event) => setRender(event.target.checked)} />
        {MARKS.render}
      </label>
      <span className="marks-actions">
        <button className="button button-small button-primary" type="submit" disabled={busy}>
          {busy ? MARKS.saving : MARKS.save}
        </button>
        <button className="button button-small button-quiet" type="button" onClick={onCancel}>
          {MARKS.cancel}
        </button>
      </span>
      {problem && (
        <p className="bad" role="alert">
          {problem}
        </p>
      )}
    </form>
  );
}
