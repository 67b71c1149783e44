// What is said about work.

/** What a job does, in words. */
export function jobName(kind: string): string {
  if (kind === "probe") return "Look into the file";
  if (kind === "audio") return "Render the sound";
  if (kind === "stills") return "Make the poster";
  const piece = /^piece-(\d+)$/.exec(kind);
  if (piece) return `Render the picture, piece ${Number(piece[1]) + 1}`;
  return kind;
}
