// Tags and bins of one video or many: what all of them have, what some have, and what could be added.

import "../styles/labels.css";
import { useState, type FormEvent } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { createBin } from "../api/notes";
import type { Video } from "../api/types";
import { useFacets } from "../api/useNotes";
import { say } from "../lib/toasts";
import { LABELS } from "../strings/filters";
import { Dialog } from "../ui/Dialog";
import { Icon } from "../ui/Icon";
import { has, relabel, type Change } from "./labels";

interface LabelDialogProps {
  videos: readonly Video[];
  onClose: () => void;
}

export default function LabelDialog({ videos, onClose }: LabelDialogProps) {
  const client = useQueryClient();
  const facets = useFacets().data;
  const spelled = new Map<string, string>();
  for (const tag of [...(facets?.tags ?? []).map(({ name }) => name), ...videos.flatMap(({ tags }) => tags)])
    if (!spelled.has(tag.toLowerCase())) spelled.set(tag.toLowerCase(), tag);
  const tags = [...spelled.values()].sort((a, b) => a.localeCompare(b));
  const bins = facets?.bins ?? [];
  const counted = (kind: Change["kind"], value: string) =>
    videos.filter((video) => has(video, { kind, value })).length;
  const change = (kind: Change["kind"], value: string, add: boolean, name: string) => {
    const words = {
      tag: [LABELS.untagged, LABELS.tagged],
      bin: [LABELS.unfiled, LABELS.filed],
    } as const;
    void relabel(client, videos, { kind, value, add }, (number) => words[kind][add ? 1 : 0](number, name));
  };
  const make = async (name: string) => {
    try {
      const bin = await createBin(name);
      await client.invalidateQueries({ queryKey: ["facets"] });
      change("bin", bin.id, true, bin.name);
    } catch (error) {
      say(error instanceof Error ? error.message : String(error), { tone: "bad" });
    }
  };
  return (
    <Dialog title={LABELS.title(videos.length, videos[0]?.filename ?? "")} onClose={onClose}>
      <section className="labels" aria-labelledby="labels-tags">
        <h3 id="labels-tags">{LABELS.tags}</h3>
        {tags.length > 0 && (
          <div className="labels-list">
            {tags.map((tag) => (
              <Label
                key={tag}
                name={tag}
                number={counted("tag", tag)}
                total={videos.length}
                onChange={(add) => change("tag", tag, add, tag)}
              />
            ))}
          </div>
        )}
        <Adder label={LABELS.addTag} maxLength={40} onAdd={(name) => change("tag", name, true, name)} />
      </section>
      <section className="labels" aria-labelledby="labels-bins">
        <h3 id="labels-bins">{LABELS.bins}</h3>
        {bins.length === 0 ? (
          <p className="hint">{LABELS.noBins}</p>
        ) : (
          <div className="labels-list">
            {bins.map(({ id, name }) => (
              <Label
                key={id}
                name={name}
                number={counted("bin", id)}
                total={videos.length}
                onChange={(add) => change("bin", id, add, name)}
              />
            ))}
          </div>
        )}
        <Adder label={LABELS.newBin} maxLength={100} onAdd={(name) => void make(name)} />
      </section>
      <div className="dialog-actions">
        <button className="button" type="button" onClick={onClose}>
          {LABELS.done}
        </button>
      </div>
    </Dialog>
  );
}

interface LabelProps {
  name: string;
  /** How many of the videos have it. */
  number: number;
  total: number;
  onChange: (add: boolean) => void;
}

/** Pressed if all have it, mixed if some do; a press of what is mixed gives it to all. */
function Label({ name, number, total, onChange }: LabelProps) {
  const all = number === total;
  return (
    <button
      className="label"
      type="button"
      aria-pressed={all ? true : number > 0 ? "mixed" : false}
      onClick={() => onChange(!all)}
    >
      <Icon name={all ? "check" : "plus"} />
      {name}
      {number > 0 && !all && <span className="hint numeric">{LABELS.some(number, total)}</span>}
    </button>
  );
}

function Adder({
  label,
  maxLength,
  onAdd,
}: {
  label: string;
  maxLength: number;
  onAdd: (name: string) => void;
}) {
  const [text, setText] = useState("");
  const add = (event: FormEvent) => {
    event.preventDefault();
    const name = text.trim();
    if (!name) return;
    onAdd(name);
    setText("");
  };
  return (
    <form className="labels-add" onSubmit={add}>
      <input
        className="text-field"
        aria-label={label}
        placeholder={label}
        value={text}
        maxLength={maxLength}
        spellCheck={false}
        autoComplete="off"
        onChange={(event) => setText(event.target.value)}
      />
      <button className="button" type="submit" disabled={text.trim() === ""}>
        {LABELS.add}
      </button>
    </form>
  );
}
