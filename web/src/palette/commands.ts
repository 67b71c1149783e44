// What the page that is open offers to the palette.

import { useEffect, useRef } from "react";

export interface Command {
  name: string;
  /** The key that does the same. */
  key?: string;
  run: () => void;
}

let offered: readonly Command[] = [];

export function commandsOfPage(): readonly Command[] {
  return offered;
}

/** Offers these while the component is there; what they do is looked up when they run. */
export function useCommands(commands: readonly Command[]) {
  const latest = useRef(commands);
  useEffect(() => {
    latest.current = commands;
    offered = commands;
  });
  useEffect(
    () => () => {
      if (offered === latest.current) offered = [];
    },
    [],
  );
}
