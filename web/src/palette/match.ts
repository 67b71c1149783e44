// Pure: which commands are meant by what was typed, the likeliest first.

/** Lower is likelier; `null` is no match. Every word must begin a word of the name, or at least be in it. */
export function rank(name: string, typed: string): number | null {
  const text = name.toLowerCase();
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  let sum = 0;
  for (const word of words) {
    const at = text.indexOf(word);
    if (at < 0) return null;
    const begins = at === 0 || text.split(/[\s:,–-]+/).some((each) => each.startsWith(word));
    sum += at === 0 ? 0 : begins ? 1 : 2;
  }
  return sum;
}

export function matching<C extends { name: string }>(commands: readonly C[], typed: string): C[] {
  return commands
    .map((command, index) => ({ command, index, rank: rank(command.name, typed) }))
    .filter((each): each is typeof each & { rank: number } => each.rank !== null)
    .sort((a, b) => a.rank - b.rank || a.index - b.index)
    .map(({ command }) => command);
}
