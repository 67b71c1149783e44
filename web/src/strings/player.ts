// What the player and the list of subclips say.

export const PLAYER = {
  label: (title: string) => `Player, ${title}`,
  play: "Play",
  pause: "Pause",
  buffering: "Buffering",
  again: "Try again",
  frameBack: "One frame back",
  frameOn: "One frame on",
  frame: (frame: string, frames: string) => `frame ${frame} of ${frames}`,
  timecode: "Source timecode",
  goTo: "Go to a timecode (T)",
  goToLabel: "Timecode, frames with + or -, or digits from the right",
  mute: "Mute",
  unmute: "Sound on",
  volume: "Volume",
  speed: "Speed",
  quality: "Quality",
  auto: "Auto",
  keys: "Keys",
  keysEverywhere: "Letters are keys on the whole page; without this, only while the player has the focus",
  close: "Close",
  full: "Full screen",
  leaveFull: "Leave full screen",
  position: "Position",
  sound: "Sound track",
  track: (number: number) => `Track ${number}`,
} as const;

/** Why it does not play. */
export const PROBLEMS = {
  noHls: "This browser cannot play HLS.",
  network: "The video does not come through. The node may be out of reach.",
  decode: "This browser could not decode the video.",
  engine: "The player could not be loaded.",
} as const;

export const MARKS = {
  label: "Marks",
  in: "In",
  out: "Out",
  markIn: "Mark in (I)",
  markOut: "Mark out (O)",
  outNote: "The first frame after the range, as edit lists count",
  loop: "Loop in to out (P)",
  clear: "Clear the marks (X)",
  marker: "Marker",
  setMarker: "Set a marker (M)",
  markerSet: "The marker is set.",
  noMarkers: "This node keeps no markers yet.",
  hint: "Mark in with I and out with O, then press Enter",
  save: "Save subclip",
  saving: "Saving",
  cancel: "Cancel",
  name: "Name",
  mode: "Cut",
  modes: {
    smart: "Smart: exact and quick",
    instant: "Instant: may begin a little earlier",
    encode: "Encode: all anew, plays everywhere",
  },
  render: "Render now",
  saved: (name: string) => `${name} is saved.`,
  unmarked: "Mark in with I or out with O first.",
  notOffered: "This node does not make subclips yet: marks and loop work, saving does not.",
} as const;

/** The strip under the picture. */
export const TIMELINE = {
  label: "Strip of pictures and sound",
  closer: "Closer",
  further: "Further away",
} as const;

export const CLIPS = {
  title: "Subclips",
  none: "None yet. Mark in with I and out with O, press Enter, and name it.",
  export: "Export",
  exportLabel: "Export the subclips and markers",
  exportNone: "There is nothing to export yet: save a subclip or set a marker first.",
  move: (name: string) => `Move ${name}: drag, or Alt and the arrows`,
  moved: (name: string, place: number, total: number) => `${name} is now ${place} of ${total}.`,
  orderFailed: "The order could not be kept.",
  byTime: "In order of time",
  arranged: "The subclips are in the order of their in points.",
  play: (name: string) => `Play ${name}`,
  render: "Render",
  renderLabel: (name: string) => `Render ${name}`,
  download: "Download",
  downloadLabel: (name: string) => `Download ${name}`,
  rename: (name: string) => `Rename ${name}`,
  delete: (name: string) => `Delete ${name}`,
  deleted: (name: string) => `${name} is deleted.`,
  keepFailed: "It could not be deleted.",
  nameEmpty: "A subclip needs a name.",
  nameLabel: "New name",
  frame: (frame: number) => `frame ${frame}`,
  states: {
    virtual: "Not rendered",
    queued: "Queued",
    rendering: "Rendering",
    ready: "Ready",
    failed: "Failed",
  },
} as const;

/** The player's commands in the palette. */
export const COMMAND_NAMES = {
  in: "Mark in",
  out: "Mark out",
  save: "Save what is marked as a subclip",
  loop: "Loop in to out",
  clear: "Clear the marks",
  timecode: "Go to a timecode",
  marker: "Set a marker",
  export: "Export the subclips and markers",
  full: "Full screen",
  keys: "Show the keys",
} as const;

/** The sheet of keys; every one of them is tried by a test. */
export const KEYS: readonly {
  title: string;
  keys: readonly (readonly [keys: readonly string[], what: string])[];
}[] = [
  {
    title: "Play",
    keys: [
      [["Space"], "Play or pause"],
      [["J", "K", "L"], "Back, stop, on; J or L again for 2, 4, 8 times, with K held slowly"],
      [["P"], "Loop in to out"],
      [["Shift Space"], "Play in to out once"],
    ],
  },
  {
    title: "Move",
    keys: [
      [["←", "→"], "One frame; also , and ."],
      [["Shift ←", "Shift →"], "One second"],
      [["Home", "End"], "First, last frame"],
      [["0", "9"], "Tenths of the length"],
      [["T"], "Type a timecode"],
    ],
  },
  {
    title: "Mark",
    keys: [
      [["I", "O"], "Mark in, out"],
      [["Shift I", "Shift O"], "Go to in, out"],
      [["X"], "Clear both; Alt I, Alt O clear one"],
      [["Enter"], "Save as a subclip; also S"],
      [["M"], "Set a marker on the picture, or on what is marked"],
      [["[", "]"], "Marker before, after"],
      [["B", "N"], "Subclip before, after"],
      [["E"], "Export the subclips"],
    ],
  },
  {
    title: "Sound and picture",
    keys: [
      [["↑", "↓"], "Louder, quieter"],
      [["V"], "Sound off and on"],
      [["+", "-"], "Strip closer, further; also Ctrl and the wheel"],
      [["F"], "Full screen"],
      [["?"], "This sheet"],
    ],
  },
];
