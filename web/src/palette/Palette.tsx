// One field for everything: pages, what the open page offers, and videos by name.

import "../styles/palette.css";
import { useEffect, useId, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { useQuery } from "@tanstack/react-query";
import { listVideos } from "../api/client";
import { useDebounced } from "../lib/hooks";
import { navigate } from "../lib/router";
import { addressOf, DEFAULT_VIEW } from "../library/address";
import { PALETTE } from "../strings/palette";
import { STATUS_WORDS } from "../strings/states";
import { Icon, type IconName } from "../ui/Icon";
import { commandsOfPage, type Command } from "./commands";
import { matching } from "./match";

interface Entry extends Command {
  group: string;
  icon: IconName;
  note?: string;
}

const go = (name: string, to: string, icon: IconName): Entry => ({
  group: PALETTE.commands,
  name,
  icon,
  run: () => navigate(to),
});

const PLACES: readonly Entry[] = [
  go(PALETTE.library, "/", "grid"),
  go(PALETTE.list, "/?view=list", "list"),
  go(PALETTE.jobs, "/jobs", "queue"),
  go(PALETTE.nodes, "/nodes", "node"),
  go(PALETTE.upload, "/upload", "upload"),
  go(PALETTE.failedVideos, "/?status=failed", "alert"),
  go(PALETTE.renderingVideos, "/?status=rendering", "progress"),
  go(PALETTE.runningJobs, "/jobs?state=running", "progress"),
  go(PALETTE.waitingJobs, "/jobs?state=waiting", "clock"),
  go(PALETTE.failedJobs, "/jobs?state=failed", "alert"),
  { ...go(PALETTE.docs, "", "info"), run: () => location.assign("/docs") },
];

/** How many videos are offered; the rest is for the library. */
const VIDEOS = 8;

export default function Palette({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const id = useId();
  const typed = useDebounced(text.trim(), 120);
  // Taken once: the page behind does not change while the palette is open.
  const [page] = useState(commandsOfPage);
  const videos = useQuery({
    queryKey: ["palette", typed],
    queryFn: ({ signal }) => listVideos({ ...DEFAULT_VIEW, q: typed }, VIDEOS, null, signal),
    enabled: typed !== "",
    placeholderData: (old) => old,
  });

  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);

  const entries = useMemo<Entry[]>(() => {
    const q = text.trim();
    const ofPage = page.map((command): Entry => ({ ...command, group: PALETTE.page, icon: "film" }));
    const found: Entry[] = q
      ? [
          ...(videos.data?.items ?? []).map((video): Entry => ({
            group: PALETTE.videos,
            name: video.filename,
            note: STATUS_WORDS[video.status],
            icon: "film",
            run: () => navigate(`/videos/${video.id}`),
          })),
          {
            ...go(PALETTE.all(q), addressOf({ ...DEFAULT_VIEW, q }), "search"),
            group: PALETTE.videos,
          },
        ]
      : [];
    return [...matching(ofPage, q), ...matching(PLACES, q), ...found];
  }, [text, page, videos.data]);
  const chosen = Math.min(at, entries.length - 1);
  const groups = useMemo(() => grouped(entries), [entries]);

  const run = (entry: Entry | undefined) => {
    if (!entry) return;
    onClose();
    entry.run();
  };
  const key = (event: KeyboardEvent) => {
    const count = entries.length;
    if (event.key === "ArrowDown") setAt((chosen + 1) % count);
    else if (event.key === "ArrowUp") setAt((chosen - 1 + count) % count);
    else if (event.key === "Enter") run(entries[chosen]);
    else return;
    event.preventDefault();
  };
  useEffect(() => {
    document.getElementById(`${id}-${chosen}`)?.scrollIntoView({ block: "nearest" });
  }, [id, chosen]);

  return (
    <dialog
      ref={dialog}
      className="palette"
      aria-label={PALETTE.title}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      <div className="palette-field">
        <Icon name="search" />
        <input
          role="combobox"
          aria-expanded="true"
          aria-controls={id}
          aria-activedescendant={`${id}-${chosen}`}
          aria-label={PALETTE.title}
          aria-autocomplete="list"
          placeholder={PALETTE.placeholder}
          autoFocus
          spellCheck={false}
          autoComplete="off"
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setAt(0);
          }}
          onKeyDown={key}
        />
      </div>
      <div className="palette-list" role="listbox" id={id} aria-label={PALETTE.title}>
        {groups.map(({ name, from, members }) => (
          <div key={name} role="group" aria-label={name}>
            {groups.length > 1 && (
              <p className="palette-group" aria-hidden="true">
                {name}
              </p>
            )}
            {members.map((entry, offset) => {
              const index = from + offset;
              return (
                <div
                  key={`${entry.name} ${offset}`}
                  id={`${id}-${index}`}
                  className="palette-entry"
                  role="option"
                  aria-selected={index === chosen}
                  onPointerMove={() => setAt(index)}
                  onClick={() => run(entry)}
                >
                  <Icon name={entry.icon} />
                  <span className="palette-name">{entry.name}</span>
                  {entry.key && <kbd>{entry.key}</kbd>}
                  {entry.note && <span className="hint">{entry.note}</span>}
                </div>
              );
            })}
          </div>
        ))}
      </div>
    </dialog>
  );
}

/** Neighbours of one group together, with the place of the first. */
function grouped(entries: readonly Entry[]): { name: string; from: number; members: Entry[] }[] {
  const groups: { name: string; from: number; members: Entry[] }[] = [];
  for (const [index, entry] of entries.entries()) {
    const last = groups.at(-1);
    if (last?.name === entry.group) last.members.push(entry);
    else groups.push({ name: entry.group, from: index, members: [entry] });
  }
  return groups;
}
