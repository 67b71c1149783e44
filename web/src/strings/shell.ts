// What the frame around every page says.

export const SHELL = {
  skip: "Skip to content",
  home: "Reelmesh, to the library",
  main: "Main",
  places: { library: "Library", jobs: "Jobs", nodes: "Nodes" },
  upload: "Upload",
  uploading: "Uploading",
  notices: "Notices",
  dismiss: "Dismiss",
  undo: "Undo",
  find: "Find or do",
  reconnecting: "Reconnecting",
  offline: "This computer is offline. What is shown may be old; it goes on by itself when the line is back.",
  lost: "The node does not answer. What is shown may be old; it is asked again every few seconds.",
  loading: "Loading",
  notFound: "Page not found",
  notFoundTitle: "There is no page here",
  notFoundWhy: "The address may be mistyped, or what it led to was deleted.",
  toLibrary: "To the library",
  broken: "This page could not be shown",
  again: "Load it again",
} as const;
