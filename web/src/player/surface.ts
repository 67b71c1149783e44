// The player as a surface: full screen, resting controls, keys.

import { useCallback, useEffect, useRef, useState, type RefObject } from "react";
import { actionFor, type Action } from "./keys";

export function useFullscreen(root: RefObject<HTMLDivElement | null>) {
  const [on, setOn] = useState(false);
  useEffect(() => {
    const read = () => setOn(document.fullscreenElement === root.current);
    document.addEventListener("fullscreenchange", read);
    return () => document.removeEventListener("fullscreenchange", read);
  }, [root]);
  const toggle = useCallback(() => {
    if (document.fullscreenElement) void document.exitFullscreen();
    else void root.current?.requestFullscreen?.().catch(() => undefined);
  }, [root]);
  return { on, toggle };
}

/** True when nothing has moved for a while, so that the controls may step back. */
export function useIdle(root: RefObject<HTMLDivElement | null>, may: boolean): boolean {
  const [idle, setIdle] = useState(false);
  useEffect(() => {
    const element = root.current;
    setIdle(false);
    if (!may || !element) return;
    let timer = setTimeout(() => setIdle(true), 2500);
    const wake = () => {
      setIdle(false);
      clearTimeout(timer);
      timer = setTimeout(() => setIdle(true), 2500);
    };
    element.addEventListener("pointermove", wake);
    addEventListener("keydown", wake);
    return () => {
      clearTimeout(timer);
      element.removeEventListener("pointermove", wake);
      removeEventListener("keydown", wake);
    };
  }, [root, may]);
  return idle;
}

/** The player's keys work on the whole page, but never while a person types, chooses or answers. */
export function useKeys(act: (action: Action) => void, onLift: (stop: boolean) => void) {
  const latest = useRef(act);
  const lifted = useRef(onLift);
  useEffect(() => {
    latest.current = act;
    lifted.current = onLift;
  });
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.defaultPrevented) return;
      const target = event.target as HTMLElement;
      const field = target.closest(
        "input:not([type=range]), textarea, select, [contenteditable], [role=menu]",
      );
      const modal = target.closest("dialog[open]") && event.key !== "?";
      if (field || modal) return;
      // A focused control keeps the keys that work it.
      if (/^( |Enter)$/.test(event.key) && target.closest("button, a, summary, label")) return;
      if (target.closest("input[type=range]") && /^(Arrow|Home|End|Page)/.test(event.key)) return;
      const { key, code, shiftKey: shift, altKey: alt, repeat } = event;
      const action = actionFor({ key, code, shift, alt, repeat });
      if (!action) return;
      event.preventDefault();
      latest.current(action);
    };
    const release = ({ key }: KeyboardEvent) => {
      if (/^[jkl]$/i.test(key)) lifted.current(key.toLowerCase() === "k");
    };
    addEventListener("keydown", listen);
    addEventListener("keyup", release);
    return () => {
      removeEventListener("keydown", listen);
      removeEventListener("keyup", release);
    };
  }, []);
}
