// Where a video or a job stands, in plain words, with an icon so that colour is never the only sign.

import type { JobState, Video, VideoStatus } from "../api/types";
import { percent } from "../lib/format";
import { Icon, type IconName } from "../ui/Icon";

export type Tone = "good" | "busy" | "idle" | "bad";

export const STATUS_WORDS: Record<VideoStatus, string> = {
  uploading: "Uploading",
  probing: "Checking",
  rendering: "Rendering",
  ready: "Ready",
  failed: "Failed",
};

const STATUS_LOOKS: Record<VideoStatus, [Tone, IconName]> = {
  uploading: ["busy", "upload"],
  probing: ["busy", "search"],
  rendering: ["busy", "progress"],
  ready: ["good", "check"],
  failed: ["bad", "alert"],
};

const JOB_LOOKS: Record<JobState, [Tone, IconName, string]> = {
  waiting: ["idle", "clock", "Waiting"],
  running: ["busy", "progress", "Running"],
  done: ["good", "check", "Done"],
  failed: ["bad", "alert", "Failed"],
  cancelled: ["idle", "cancel", "Cancelled"],
};

export function VideoChip({ video }: { video: Video }) {
  const [tone, icon] = STATUS_LOOKS[video.status];
  const moving = video.status === "uploading" || video.status === "rendering";
  return (
    <Chip tone={tone} icon={icon}>
      {STATUS_WORDS[video.status]}
      {moving && <span className="numeric"> {percent(video.progress_permille)}</span>}
    </Chip>
  );
}

export function JobChip({ state, permille }: { state: JobState; permille: number }) {
  const [tone, icon, word] = JOB_LOOKS[state];
  return (
    <Chip tone={tone} icon={icon}>
      {word}
      {state === "running" && <span className="numeric"> {percent(permille)}</span>}
    </Chip>
  );
}

export function Chip({ tone, icon, children }: { tone: Tone; icon: IconName; children: React.ReactNode }) {
  return (
    <span className={`chip chip-${tone}`}>
      <Icon name={icon} />
      <span>{children}</span>
    </span>
  );
}
