// What can be done with several videos at once.

import "../styles/menu.css";
import { lazy, Suspense, useEffect, useState } from "react";
import { useOffers } from "../api/useVideo";
import { EXPORT_FORMATS, type ExportFormat, type Video } from "../api/types";
import { keysEverywhere } from "../lib/singleKeys";
import { say } from "../lib/toasts";
import { FORMATS, SELECTION } from "../strings/selection";
import { ActionMenu } from "../ui/ActionMenu";
import { Icon } from "../ui/Icon";
import { exportSubclips, retryWork } from "./bulk";

const LabelDialog = lazy(() => import("./LabelDialog"));

interface SelectionBarProps {
  videos: readonly Video[];
  total: number;
  onAll: () => Promise<void>;
  onClear: () => void;
  onDelete: (videos: readonly Video[]) => void;
}

export default function SelectionBar({ videos, total, onAll, onClear, onDelete }: SelectionBarProps) {
  const [busy, setBusy] = useState<"all" | "export" | "retry" | null>(null);
  const [labelling, setLabelling] = useState(false);
  const offers = useOffers();
  const withClips = videos.filter(({ clips }) => (clips ?? []).length > 0);
  const broken = videos.filter(({ status, error }) => status === "failed" && error?.retryable);

  // From wherever the focus is, unless something nearer took the key.
  useEffect(() => {
    const clear = (event: KeyboardEvent) => {
      const field = (event.target as HTMLElement).closest("input:not([type=checkbox]), dialog");
      if (event.key === "Escape" && !event.defaultPrevented && !field) onClear();
      const plain = !event.ctrlKey && !event.metaKey && !event.altKey && keysEverywhere();
      if (event.key === "t" && plain && !field && offers?.labels) {
        event.preventDefault();
        setLabelling(true);
      }
    };
    addEventListener("keydown", clear);
    return () => removeEventListener("keydown", clear);
  }, [onClear, offers?.labels]);

  const run = async (what: "all" | "export" | "retry", work: () => Promise<string | null>) => {
    setBusy(what);
    try {
      const done = await work();
      if (done) say(done);
    } catch (error) {
      say(error instanceof Error ? error.message : String(error), { tone: "bad" });
    }
    setBusy(null);
  };
  const exportAs = (format: ExportFormat) =>
    run("export", async () => {
      if (withClips.length === 0) return SELECTION.exportNone;
      await exportSubclips(withClips, format, offers?.exportsMany ?? false);
      return SELECTION.exported(withClips.length);
    });
  const retry = () =>
    run("retry", async () => {
      const started = await retryWork(broken);
      return started === 0 ? SELECTION.retryNone : SELECTION.retried(started);
    });

  return (
    <div className="selection" role="toolbar" aria-label={SELECTION.label}>
      <span className="selection-count numeric" role="status">
        {SELECTION.chosen(videos.length)}
      </span>
      {videos.length < total && (
        <button
          className="button button-small button-quiet"
          type="button"
          disabled={busy !== null}
          onClick={() =>
            void run("all", async () => {
              await onAll();
              return null;
            })
          }
        >
          {busy === "all" ? SELECTION.gathering : SELECTION.all(total)}
        </button>
      )}
      <span className="selection-space" />
      {offers?.labels && (
        <button className="button button-small" type="button" onClick={() => setLabelling(true)}>
          <Icon name="tag" />
          {SELECTION.tags}
        </button>
      )}
      {labelling && (
        <Suspense fallback={null}>
          <LabelDialog videos={videos} onClose={() => setLabelling(false)} />
        </Suspense>
      )}
      {offers?.exports && withClips.length > 0 && (
        <ActionMenu
          label={SELECTION.exportLabel}
          text={SELECTION.export}
          icon="export"
          disabled={busy !== null}
          items={EXPORT_FORMATS.map((format) => ({
            key: format,
            name: FORMATS[format].name,
            note: FORMATS[format].note,
            run: () => void exportAs(format),
          }))}
        />
      )}
      {broken.length > 0 && (
        <button
          className="button button-small"
          type="button"
          disabled={busy !== null}
          onClick={() => void retry()}
        >
          <Icon name="retry" />
          {SELECTION.retry}
        </button>
      )}
      <button className="button button-small" type="button" onClick={() => onDelete(videos)}>
        <Icon name="trash" />
        {SELECTION.delete}
      </button>
      <button className="icon-button" type="button" aria-label={SELECTION.clear} onClick={onClear}>
        <Icon name="cancel" />
      </button>
    </div>
  );
}
