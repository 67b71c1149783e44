// Where a video and a job stand, in words.

import type { JobState, VideoStatus } from "../api/types";

export const STATUS_WORDS: Record<VideoStatus, string> = {
  uploading: "Uploading",
  probing: "Checking",
  rendering: "Rendering",
  ready: "Ready",
  failed: "Failed",
};

export const JOB_WORDS: Record<JobState, string> = {
  waiting: "Waiting",
  running: "Running",
  done: "Done",
  failed: "Failed",
  cancelled: "Cancelled",
};
