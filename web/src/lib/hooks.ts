// Small hooks that know nothing of the domain.

import { useEffect, useRef, useState } from "react";

/** `value` once it has stood still for `delayMs`. */
export function useDebounced<T>(value: T, delayMs: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), delayMs);
    return () => clearTimeout(timer);
  }, [value, delayMs]);
  return settled;
}

/** True after `delayMs`, so that what comes fast never flashes a placeholder. */
export function useDelay(delayMs: number): boolean {
  const [passed, setPassed] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setPassed(true), delayMs);
    return () => clearTimeout(timer);
  }, [delayMs]);
  return passed;
}

/** The time in milliseconds, anew every `everyMs`. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

/** Names the page in the title and moves the focus to its heading, so that a screen reader says where it is. */
export function usePageTitle(title: string) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = title === "Reelmesh" ? title : `${title} · Reelmesh`;
  }, [title]);
  useEffect(() => {
    // Not on the first page of a visit: there the browser's own order is right.
    if (visits++ > 0) heading.current?.focus({ preventScroll: true });
  }, []);
  return heading;
}
let visits = 0;
