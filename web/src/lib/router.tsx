// Where the page is, and how to get elsewhere: the few parts of a router that this site needs.

import { useSyncExternalStore, type AnchorHTMLAttributes, type MouseEvent, type ReactNode } from "react";

const listeners = new Set<() => void>();

function subscribe(listener: () => void) {
  listeners.add(listener);
  addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    removeEventListener("popstate", listener);
  };
}

export function usePath(): string {
  return useSyncExternalStore(subscribe, () => location.pathname);
}

export function useSearch(): string {
  return useSyncExternalStore(subscribe, () => location.search);
}

export function navigate(to: string, options: { replace?: boolean } = {}) {
  const samePage = new URL(to, location.href).pathname === location.pathname;
  if (!options.replace) rememberScroll();
  history[options.replace ? "replaceState" : "pushState"](null, "", to);
  if (!samePage) scrollTo(0, 0);
  for (const listener of listeners) listener();
}

/** Where a page was left is kept with its place in the history, for the way back. */
function rememberScroll() {
  history.replaceState({ scrollY }, "");
}

/** To be called by a page once it has its height. */
export function restoreScroll() {
  const state = history.state as { scrollY?: number } | null;
  if (state?.scrollY) scrollTo(0, state.scrollY);
}

interface LinkProps extends AnchorHTMLAttributes<HTMLAnchorElement> {
  to: string;
  children: ReactNode;
}

/** An anchor that changes the page in place, unless the person asked for a new tab or window. */
export function Link({ to, onClick, ...rest }: LinkProps) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (event.defaultPrevented || !plain || rest.target) return;
    event.preventDefault();
    navigate(to);
  };
  return <a href={to} onClick={follow} {...rest} />;
}
