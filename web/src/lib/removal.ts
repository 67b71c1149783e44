// Deleting with a way back: what is deleted goes from view at once, and from the node when the notice has passed.

import { useSyncExternalStore } from "react";
import { say } from "./toasts";

interface Removal {
  ids: readonly string[];
  /** `closing`: the page goes, and no answer will be seen. */
  send: (id: string, closing: boolean) => Promise<unknown>;
}

/** How many requests run at once. */
const AT_ONCE = 4;

let hidden: ReadonlySet<string> = new Set();
const waiting = new Set<Removal>();
const listeners = new Set<() => void>();

function become(next: ReadonlySet<string>) {
  hidden = next;
  for (const listener of listeners) listener();
}

/** Ids that are deleted as far as the person is concerned. */
export function useHidden(): ReadonlySet<string> {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => hidden,
  );
}

function show(ids: readonly string[]) {
  const next = new Set(hidden);
  for (const id of ids) next.delete(id);
  become(next);
}

interface Wish extends Removal {
  text: string;
  undo: string;
  /** Said when the node refused. */
  failed: string;
  onUndo?: () => void;
}

export function removeSoon({ ids, send, text, undo, failed, onUndo }: Wish) {
  const removal = { ids, send };
  waiting.add(removal);
  become(new Set([...hidden, ...ids]));
  say(text, {
    action: {
      name: undo,
      run: () => {
        waiting.delete(removal);
        show(ids);
        onUndo?.();
      },
    },
    onPass: () => {
      waiting.delete(removal);
      void sendAll(removal, failed);
    },
  });
}

async function sendAll({ ids, send }: Removal, failed: string) {
  const queue = [...ids];
  const refused: string[] = [];
  let problem = "";
  const work = async () => {
    for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
      try {
        await send(id, false);
      } catch (error) {
        refused.push(id);
        problem = error instanceof Error ? error.message : String(error);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (refused.length === 0) return;
  show(refused);
  say(`${failed} ${problem}`, { tone: "bad" });
}

// The person who closes the page has seen it go, and expects it gone.
if (typeof addEventListener === "function") {
  addEventListener("pagehide", () => {
    for (const { ids, send } of waiting) for (const id of ids) void send(id, true).catch(() => undefined);
    waiting.clear();
  });
}
