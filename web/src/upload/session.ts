// Pure: the life of one upload. Time comes in as milliseconds; who calls does the sending.

/** Where an upload stands. */
export type Phase =
  /** Waits for its turn. */
  | "queued"
  /** Bytes go out. */
  | "sending"
  /** A person stopped it. */
  | "paused"
  /** It broke and will be tried again at `retryAtMs`. */
  | "waiting"
  /** The node has it all. */
  | "done"
  /** It cannot go on by itself. */
  | "failed";

export interface Session {
  key: string;
  filename: string;
  sizeBytes: number;
  sentBytes: number;
  phase: Phase;
  /** Failures in a row; progress sets it back. */
  failures: number;
  retryAtMs: number | null;
  /** A sentence about the last failure. */
  problem: string | null;
  /** Recent progress, oldest first, for the rate. */
  samples: readonly Sample[];
  videoId: string | null;
}

export interface Sample {
  atMs: number;
  sentBytes: number;
}

export type Event =
  | { kind: "start"; atMs: number }
  | { kind: "progress"; atMs: number; sentBytes: number }
  | { kind: "broke"; atMs: number; problem: string; retryable: boolean }
  | { kind: "pause" }
  | { kind: "resume" }
  | { kind: "finish"; videoId: string | null };

/** How long without a byte before an upload counts as stalled and is begun anew. */
export const STALL_MS = 20_000;
/** The same once every byte is out: the node then hashes and stores the file before it answers. */
export const CHECK_MS = 15 * 60_000;
/** The rate is measured over this long. */
const RATE_WINDOW_MS = 8000;
/** How far apart samples are kept. */
const SAMPLE_MS = 250;
const RETRY_DELAYS_MS = [1000, 2000, 4000, 8000, 15_000, 30_000] as const;

export function openSession(key: string, filename: string, sizeBytes: number, sentBytes = 0): Session {
  return {
    key,
    filename,
    sizeBytes,
    sentBytes,
    phase: "queued",
    failures: 0,
    retryAtMs: null,
    problem: null,
    samples: [],
    videoId: null,
  };
}

/** How long to wait after so many failures in a row. */
export function retryDelayMs(failures: number): number {
  return RETRY_DELAYS_MS[Math.min(failures, RETRY_DELAYS_MS.length) - 1] ?? RETRY_DELAYS_MS[0];
}

/** Whether the same request may fare better later, by its status; `null` when no answer came. */
export function isRetryable(status: number | null): boolean {
  return status === null || status === 0 || status >= 500 || [408, 409, 423, 429].includes(status);
}

/** One step. An event that does not fit the phase changes nothing: it came late. */
export function step(session: Session, event: Event): Session {
  const { phase } = session;
  switch (event.kind) {
    case "start":
      if (phase !== "queued" && phase !== "waiting") return session;
      return {
        ...session,
        phase: "sending",
        retryAtMs: null,
        samples: [{ atMs: event.atMs, sentBytes: session.sentBytes }],
      };
    case "progress": {
      if (phase !== "sending") return session;
      const sentBytes = Math.min(event.sentBytes, session.sizeBytes);
      const forward = sentBytes > session.sentBytes;
      return {
        ...session,
        sentBytes,
        failures: forward ? 0 : session.failures,
        problem: forward ? null : session.problem,
        samples: sampled(session.samples, { atMs: event.atMs, sentBytes }),
      };
    }
    case "broke": {
      if (phase !== "sending") return session;
      if (!event.retryable) {
        return { ...session, phase: "failed", problem: event.problem, retryAtMs: null, samples: [] };
      }
      const failures = session.failures + 1;
      return {
        ...session,
        phase: "waiting",
        failures,
        problem: event.problem,
        retryAtMs: event.atMs + retryDelayMs(failures),
        samples: [],
      };
    }
    case "pause":
      if (phase !== "queued" && phase !== "sending" && phase !== "waiting") return session;
      return { ...session, phase: "paused", retryAtMs: null, samples: [] };
    case "resume":
      if (phase !== "paused" && phase !== "failed" && phase !== "waiting") return session;
      return { ...session, phase: "queued", failures: 0, retryAtMs: null, problem: null };
    case "finish":
      return {
        ...session,
        phase: "done",
        sentBytes: session.sizeBytes,
        retryAtMs: null,
        problem: null,
        samples: [],
        videoId: event.videoId,
      };
  }
}

/** The samples with one more; those that no longer count are dropped. */
function sampled(samples: readonly Sample[], sample: Sample): readonly Sample[] {
  const last = samples.at(-1);
  // The server's offset can lie behind what was sent: begin to measure anew.
  if (last && sample.sentBytes < last.sentBytes) return [sample];
  const recent = samples.filter((old) => sample.atMs - old.atMs <= RATE_WINDOW_MS);
  const before = recent.at(-2);
  if (before && sample.atMs - before.atMs < SAMPLE_MS) return [...recent.slice(0, -1), sample];
  return [...recent, sample];
}

/** Bytes per second over the last seconds; `null` until there is something to measure. */
export function rate(session: Session): number | null {
  const first = session.samples[0];
  const last = session.samples.at(-1);
  if (session.phase !== "sending" || !first || !last || last.atMs - first.atMs < 500) return null;
  return Math.round(((last.sentBytes - first.sentBytes) * 1000) / (last.atMs - first.atMs));
}

/** Whole seconds until everything is sent, at the rate of now. */
export function secondsLeft(session: Session): number | null {
  const perSecond = rate(session);
  return perSecond ? Math.ceil((session.sizeBytes - session.sentBytes) / perSecond) : null;
}

export function permille(session: Session): number {
  if (session.phase === "done") return 1000;
  return session.sizeBytes === 0 ? 0 : Math.floor((session.sentBytes * 1000) / session.sizeBytes);
}

/** Every byte is out; what is missing is the node's word that it is right. */
export function isWhole(session: Session): boolean {
  return session.sentBytes === session.sizeBytes;
}

/** Whether no byte has moved for so long that the connection must be dead. */
export function isStalled(session: Session, nowMs: number): boolean {
  const last = session.samples.at(-1);
  const limitMs = isWhole(session) ? CHECK_MS : STALL_MS;
  return session.phase === "sending" && last !== undefined && nowMs - last.atMs >= limitMs;
}

/** Closing the page would break it off. */
export function isUnderWay(session: Session): boolean {
  return session.phase === "queued" || session.phase === "sending" || session.phase === "waiting";
}

/** Which sessions to start now, so that at most `atOnce` send; a waiting one keeps no place. */
export function startable(sessions: readonly Session[], nowMs: number, atOnce: number): Session[] {
  const free = atOnce - sessions.filter(({ phase }) => phase === "sending").length;
  return sessions
    .filter(
      ({ phase, retryAtMs }) =>
        phase === "queued" || (phase === "waiting" && retryAtMs !== null && retryAtMs <= nowMs),
    )
    .slice(0, Math.max(0, free));
}
