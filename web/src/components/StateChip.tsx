// Where a video or a job stands, in plain words, with an icon so that colour is never the only sign.

import type { JobState, Video, VideoStatus } from "../api/types";
import { percent } from "../lib/format";
import { JOB_WORDS, STATUS_WORDS } from "../strings/states";
import { Icon, type IconName } from "../ui/Icon";

export type Tone = "good" | "busy" | "idle" | "bad";

const STATUS_LOOKS: Record<VideoStatus, [Tone, IconName]> = {
  uploading: ["busy", "upload"],
  probing: ["busy", "search"],
  rendering: ["busy", "progress"],
  ready: ["good", "check"],
  failed: ["bad", "alert"],
};

const JOB_LOOKS: Record<JobState, [Tone, IconName]> = {
  waiting: ["idle", "clock"],
  running: ["busy", "progress"],
  done: ["good", "check"],
  failed: ["bad", "alert"],
  cancelled: ["idle", "cancel"],
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
  const [tone, icon] = JOB_LOOKS[state];
  return (
    <Chip tone={tone} icon={icon}>
      {JOB_WORDS[state]}
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
