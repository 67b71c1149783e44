// The filters beside name and state: bin, tags, frame rate, site, dates. What is set stands in the address.

import "../styles/labels.css";
import { useRef, useState, type FormEvent } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { rateText } from "../api/filter";
import { createBin, deleteBin, renameBin } from "../api/notes";
import type { Bin } from "../api/types";
import { useFacets } from "../api/useNotes";
import { frameRate } from "../lib/format";
import { removeSoon, useHidden } from "../lib/removal";
import { say } from "../lib/toasts";
import { FILTERS as F } from "../strings/filters";
import { SHELL } from "../strings/shell";
import { Icon } from "../ui/Icon";
import { narrowings, type View } from "./address";

interface FilterPanelProps {
  view: View;
  onChange: (part: Partial<View>) => void;
}

const NONE: Partial<View> = { tags: [], bin: null, rate: null, site: null, from: null, to: null };

export default function FilterPanel({ view, onChange }: FilterPanelProps) {
  const facets = useFacets().data;
  const hidden = useHidden();
  const bins = (facets?.bins ?? []).filter(({ id }) => !hidden.has(id));
  const chosen = bins.find(({ id }) => id === view.bin) ?? null;
  const tags = (facets?.tags ?? []).filter(({ name }) => !view.tags.includes(name));
  return (
    <div className="filter-panel" role="group" aria-label={F.label}>
      <Choice
        label={F.bin}
        all={F.everyBin}
        value={view.bin}
        options={bins.map(({ id, name, videos }) => [id, F.counted(name, videos)])}
        onChoose={(bin) => onChange({ bin })}
      />
      <BinActions chosen={chosen} onChoose={(bin) => onChange({ bin })} />
      <Choice
        label={F.tag}
        all={F.anyTag}
        value={null}
        options={tags.map(({ name, videos }) => [name, F.counted(name, videos)])}
        onChoose={(tag) => tag !== null && onChange({ tags: [...view.tags, tag] })}
      />
      {view.tags.map((tag) => (
        <button
          key={tag}
          className="label"
          type="button"
          aria-label={F.without(tag)}
          title={F.without(tag)}
          onClick={() => onChange({ tags: view.tags.filter((other) => other !== tag) })}
        >
          {tag}
          <Icon name="cancel" />
        </button>
      ))}
      <Choice
        label={F.rate}
        all={F.everyRate}
        value={view.rate}
        options={(facets?.rates ?? []).map(({ frame_rate, videos }) => [
          rateText(frame_rate),
          F.counted(F.fps(frameRate(frame_rate)), videos),
        ])}
        onChoose={(rate) => onChange({ rate })}
      />
      {((facets?.sites ?? []).length > 1 || view.site !== null) && (
        <Choice
          label={F.site}
          all={F.everySite}
          value={view.site}
          options={(facets?.sites ?? []).map(({ name, videos }) => [name, F.counted(name, videos)])}
          onChoose={(site) => onChange({ site })}
        />
      )}
      <label className="day">
        <span>{F.from}</span>
        <input
          type="date"
          value={view.from ?? ""}
          onChange={(event) => onChange({ from: event.target.value || null })}
        />
      </label>
      <label className="day">
        <span>{F.to}</span>
        <input
          type="date"
          value={view.to ?? ""}
          onChange={(event) => onChange({ to: event.target.value || null })}
        />
      </label>
      {narrowings(view) > 0 && (
        <button className="button button-quiet" type="button" onClick={() => onChange(NONE)}>
          {F.clear}
        </button>
      )}
    </div>
  );
}

interface ChoiceProps {
  label: string;
  all: string;
  value: string | null;
  options: readonly (readonly [value: string, name: string])[];
  onChoose: (value: string | null) => void;
}

function Choice({ label, all, value, options, onChoose }: ChoiceProps) {
  const known = value === null || options.some(([each]) => each === value);
  return (
    <label className="select">
      <span className="sr-only">{label}</span>
      <select value={value ?? ""} onChange={(event) => onChoose(event.target.value || null)}>
        <option value="">{all}</option>
        {!known && value !== null && <option value={value}>{label}</option>}
        {options.map(([each, name]) => (
          <option key={each} value={each}>
            {name}
          </option>
        ))}
      </select>
      <Icon name="chevronDown" />
    </label>
  );
}

/** Makes a bin, and renames or deletes the one that is shown. */
function BinActions({ chosen, onChoose }: { chosen: Bin | null; onChoose: (bin: string | null) => void }) {
  const client = useQueryClient();
  const [naming, setNaming] = useState<"new" | "old" | null>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const save = async (name: string) => {
    try {
      const bin = await (naming === "old" && chosen ? renameBin(chosen.id, name) : createBin(name));
      await client.invalidateQueries({ queryKey: ["facets"] });
      setNaming(null);
      if (naming === "new") onChoose(bin.id);
    } catch (error) {
      say(error instanceof Error ? error.message : String(error), { tone: "bad" });
    }
  };
  const remove = (bin: Bin) => {
    removeSoon({
      ids: [bin.id],
      send: deleteBin,
      text: F.binDeleted(bin.name),
      undo: SHELL.undo,
      failed: F.binKept,
      onUndo: () => onChoose(bin.id),
    });
    onChoose(null);
  };
  if (naming) {
    return (
      <NameForm
        name={naming === "old" ? (chosen?.name ?? "") : ""}
        onSave={(name) => void save(name)}
        onCancel={() => {
          setNaming(null);
          opener.current?.focus();
        }}
      />
    );
  }
  return (
    <>
      {chosen && (
        <>
          <button
            className="icon-button"
            type="button"
            aria-label={F.renameBin}
            title={F.renameBin}
            onClick={() => setNaming("old")}
          >
            <Icon name="pencil" />
          </button>
          <button
            className="icon-button"
            type="button"
            aria-label={F.deleteBin}
            title={F.deleteBin}
            onClick={() => remove(chosen)}
          >
            <Icon name="trash" />
          </button>
        </>
      )}
      <button ref={opener} className="button" type="button" onClick={() => setNaming("new")}>
        <Icon name="plus" />
        {F.newBin}
      </button>
    </>
  );
}

function NameForm({
  name,
  onSave,
  onCancel,
}: {
  name: string;
  onSave: (name: string) => void;
  onCancel: () => void;
}) {
  const [text, setText] = useState(name);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (text.trim()) onSave(text.trim());
  };
  return (
    <form
      className="labels-add"
      onSubmit={submit}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        onCancel();
      }}
    >
      <input
        className="text-field"
        aria-label={F.binName}
        placeholder={F.binName}
        value={text}
        maxLength={100}
        autoFocus
        spellCheck={false}
        autoComplete="off"
        onChange={(event) => setText(event.target.value)}
      />
      <button className="button" type="submit" disabled={text.trim() === ""}>
        {F.save}
      </button>
      <button className="button button-quiet" type="button" onClick={onCancel}>
        {F.cancel}
      </button>
    </form>
  );
}
