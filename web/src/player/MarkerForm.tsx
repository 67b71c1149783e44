// The form that sets a marker on the picture, or on what is marked.

import { useEffect, useRef, useState, type FormEvent } from "react";
import { COLOURS, type Colour } from "../api/types";
import { author, setAuthor } from "../lib/author";
import { MARKERS } from "../strings/markers";

export interface MarkerWish {
  text: string;
  colour: Colour;
  author: string;
}

interface MarkerFormProps {
  /** Such as its timecode. */
  place: string;
  onCancel: () => void;
  /** A sentence if it was refused. */
  onSave: (wish: MarkerWish) => Promise<string | null>;
}

export default function MarkerForm({ place, onCancel, onSave }: MarkerFormProps) {
  const [text, setText] = useState("");
  const [colour, setColour] = useState<Colour>("red");
  const [name, setName] = useState(author);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    // A browser would bring it to the middle of the window, and the picture out of it.
    field.current?.focus({ preventScroll: true });
    field.current?.form?.scrollIntoView({ block: "nearest" });
  }, []);
  const submit = async (event?: FormEvent) => {
    event?.preventDefault();
    if (busy) return;
    setBusy(true);
    setAuthor(name);
    setProblem(await onSave({ text: text.trim(), colour, author: name.trim() }));
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
      <label className="field field-text">
        <span>{MARKERS.textLabel(place)}</span>
        <textarea
          value={text}
          ref={field}
          rows={2}
          maxLength={4000}
          placeholder={MARKERS.text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            // As in every chat: Enter sends, with Shift it is a new line.
            if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
            event.preventDefault();
            void submit();
          }}
        />
      </label>
      <fieldset className="colours">
        <legend className="sr-only">{MARKERS.colour}</legend>
        {COLOURS.map((each) => (
          <label key={each} title={MARKERS.colours[each]} data-colour={each}>
            <input
              type="radio"
              name="colour"
              value={each}
              checked={each === colour}
              aria-label={MARKERS.colours[each]}
              onChange={() => setColour(each)}
            />
          </label>
        ))}
      </fieldset>
      <label className="field field-author">
        <span>{MARKERS.author}</span>
        <input
          value={name}
          maxLength={80}
          autoComplete="name"
          spellCheck={false}
          onChange={(event) => setName(event.target.value)}
        />
      </label>
      <span className="marks-actions">
        <button className="button button-small button-primary" type="submit" disabled={busy}>
          {busy ? MARKERS.saving : MARKERS.save}
        </button>
        <button className="button button-small button-quiet" type="button" onClick={onCancel}>
          {MARKERS.cancel}
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
