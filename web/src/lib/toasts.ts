// Short notices that pass by themselves, and how long each stays.

import { useSyncExternalStore } from "react";

export interface Toast {
  id: number;
  text: string;
  tone: "plain" | "bad";
  action: { name: string; run: () => void } | null;
  leftMs: number;
  /** It passed without its action being taken. */
  onPass: (() => void) | null;
}

/** Long enough to read and to reach the button, and it stands still while somebody does. */
const STAY_MS = 8000;
const TICK_MS = 250;

let toasts: readonly Toast[] = [];
let serial = 0;
let held = false;
let timer: ReturnType<typeof setInterval> | undefined;
const listeners = new Set<() => void>();

function become(next: readonly Toast[]) {
  toasts = next;
  if (next.length > 0) timer ??= setInterval(tick, TICK_MS);
  else {
    clearInterval(timer);
    timer = undefined;
    held = false;
  }
  for (const listener of listeners) listener();
}

function tick() {
  if (held) return;
  for (const toast of toasts) toast.leftMs -= TICK_MS;
  const passed = toasts.filter(({ leftMs }) => leftMs <= 0);
  if (passed.length === 0) return;
  become(toasts.filter(({ leftMs }) => leftMs > 0));
  for (const toast of passed) toast.onPass?.();
}

export function useToasts(): readonly Toast[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
}

export function say(text: string, part: Partial<Pick<Toast, "tone" | "action" | "onPass">> = {}) {
  const toast = { id: ++serial, text, tone: "plain" as const, action: null, onPass: null, ...part };
  // More than a few at once cannot be read: the oldest passes now.
  const over = toasts.length >= 4 ? toasts[0] : undefined;
  become([...toasts.filter((each) => each !== over), { ...toast, leftMs: STAY_MS }]);
  over?.onPass?.();
}

/** The close button: what would have happened at its end happens now. */
export function dismiss(id: number) {
  const toast = toasts.find((each) => each.id === id);
  become(toasts.filter((each) => each.id !== id));
  toast?.onPass?.();
}

export function act(id: number) {
  const toast = toasts.find((each) => each.id === id);
  become(toasts.filter((each) => each.id !== id));
  toast?.action?.run();
}

/** Takes the action of the newest notice that has one; false if none has. */
export function actOnLatest(): boolean {
  const toast = toasts.findLast(({ action }) => action !== null);
  if (toast) act(toast.id);
  return toast !== undefined;
}

/** Nothing passes while a person points at the notices or has the focus in them. */
export function hold(now: boolean) {
  held = now;
}
