// The icons, as strokes of one weight on a 20 by 20 field.

const PATHS = {
  alert: "M10 6.5v4.2M10 13.6v.1M10 2.8 18 16.5H2z",
  arrowLeft: "M16 10H4m5-5-5 5 5 5",
  cancel: "m5.5 5.5 9 9m0-9-9 9",
  check: "m4.5 10.5 3.7 3.7 7.5-8.2",
  chevronDown: "m5.5 8 4.5 4.5L14.5 8",
  clock: "M10 5.8V10l2.8 2M17.5 10a7.5 7.5 0 1 1-15 0 7.5 7.5 0 0 1 15 0",
  download: "M10 3.5v9m-3.8-3.6L10 12.7l3.8-3.8M3.5 16.5h13",
  export: "M8.5 4H4v12h12v-4.5M11.5 3.5h5v5M16.2 3.8 9 11",
  filter: "M3.5 5.5h13M6 10h8M8.5 14.5h3",
  film: "M3 4.5h14v11H3zM6.5 4.5v11M13.5 4.5v11M3 8.2h3.5M3 11.8h3.5M13.5 8.2H17M13.5 11.8H17",
  frameBack: "M14.5 5 8.5 10l6 5zM5.5 5v10",
  frameForward: "m5.5 5 6 5-6 5zM14.5 5v10",
  fullscreen: "M3.5 7.5v-4h4M12.5 3.5h4v4M16.5 12.5v4h-4M7.5 16.5h-4v-4",
  fullscreenExit: "M7.5 3.5v4h-4M16.5 7.5h-4v-4M12.5 16.5v-4h4M3.5 12.5h4v4",
  gear: "M3 6.5h8M15 6.5h2M3 13.5h2M9 13.5h8M13 4.5v4M7 11.5v4",
  grid: "M3.5 3.5H9V9H3.5zM11 3.5h5.5V9H11zM3.5 11H9v5.5H3.5zM11 11h5.5v5.5H11z",
  info: "M10 9.2v4.6M10 6.3v.1M17.5 10a7.5 7.5 0 1 1-15 0 7.5 7.5 0 0 1 15 0",
  keyboard: "M2.5 5.5h15v9h-15zM5.5 8.5h.1M8.5 8.5h.1M11.5 8.5h.1M14.5 8.5h.1M6.5 11.7h7",
  list: "M3.5 5.2h.1M3.5 10h.1M3.5 14.8h.1M7 5.2h9.5M7 10h9.5M7 14.8h9.5",
  loop: "M4 9.5V8a3 3 0 0 1 3-3h9m-2.8-2.8L16 5l-2.8 2.8M16 10.5V12a3 3 0 0 1-3 3H4m2.8 2.8L4 15l2.8-2.8",
  markIn: "M11.5 3.5H7v13h4.5M12 10h4",
  markOut: "M8.5 3.5H13v13H8.5M8 10H4",
  muted: "M3 7.8v4.4h2.8L9.5 15.5v-11L5.8 7.8zM13 8l4 4m0-4-4 4",
  node: "M3.5 4h13v5h-13zM3.5 11h13v5h-13zM6.3 6.5h.1M6.3 13.5h.1",
  pause: "M7 4.5v11M13 4.5v11",
  pencil: "m4 16 .8-3.6L13.6 3.6l2.8 2.8-8.8 8.8zM11.8 5.4l2.8 2.8",
  play: "M6 4 16 10 6 16z",
  plus: "M10 4v12M4 10h12",
  progress: "M10 2.5a7.5 7.5 0 1 1-7.5 7.5",
  queue: "M3.5 5h13M3.5 10h13M3.5 15h8",
  retry: "M16.5 10a6.5 6.5 0 1 1-2-4.7M16.5 2.8v3.4h-3.4",
  search: "M8.8 14.6a5.8 5.8 0 1 0 0-11.6 5.8 5.8 0 0 0 0 11.6M13 13l4 4",
  speed: "M10 11.5 13.5 7M3.6 14.5a7.5 7.5 0 1 1 12.8 0",
  tag: "M3.5 3.5h6l7 7-6 6-7-7zM7 7h.1",
  trash: "M3.5 5.5h13M8 5.5v-2h4v2M5 5.5l.8 11h8.4l.8-11M8.5 8.8v4.6M11.5 8.8v4.6",
  upload: "M10 13V4m-3.8 3.6L10 3.8l3.8 3.8M3.5 16.5h13",
  volume: "M3 7.8v4.4h2.8L9.5 15.5v-11L5.8 7.8zM12.5 7.3a4 4 0 0 1 0 5.4M14.8 5a7 7 0 0 1 0 10",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, className }: { name: IconName; className?: string }) {
  return (
    <svg className={`icon ${className ?? ""}`} viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
