// What the palette says.

export const PALETTE = {
  title: "Find or do",
  placeholder: "A video, a page, something to do",
  commands: "Do",
  page: "On this page",
  videos: "Videos",
  nothing: "Nothing is called like that.",
  library: "Go to the library",
  list: "Go to the library as a list",
  jobs: "Go to jobs",
  nodes: "Go to nodes",
  upload: "Upload videos",
  failedVideos: "Show failed videos",
  renderingVideos: "Show videos that render",
  failedJobs: "Show failed jobs",
  waitingJobs: "Show waiting jobs",
  runningJobs: "Show running jobs",
  docs: "Open the description of the HTTP API",
  all: (q: string) => `Find “${q}” in the library`,
} as const;
