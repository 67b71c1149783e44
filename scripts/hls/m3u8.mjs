// Reads HLS playlists as text (RFC 8216), for the linter. It shares nothing with the program that
// wrote them.

/** `KEY=value,KEY="quoted, value"` as an object of texts. */
export function attributes(text) {
  const found = {};
  const pattern = /([A-Z0-9-]+)=("([^"]*)"|[^,]*)(,|$)/gy;
  let match;
  let end = 0;
  while ((match = pattern.exec(text))) {
    found[match[1]] = match[3] ?? match[2];
    end = pattern.lastIndex;
  }
  if (end !== text.length) throw new Error(`an attribute list that cannot be read: ${text}`);
  return found;
}

/** A playlist as an object. Throws on what no player can read. */
export function parse(text) {
  if (text.startsWith("\uFEFF")) throw new Error("the playlist begins with a byte order mark");
  const lines = text.split(/\r?\n/);
  if (lines[0] !== "#EXTM3U") throw new Error("the playlist does not begin with #EXTM3U");
  if (lines.at(-1) !== "") throw new Error("the last line has no end");
  const list = {
    tags: new Map(),
    media: [],
    variants: [],
    iframeVariants: [],
    segments: [],
    ended: false,
    unknown: [],
  };
  const next = { duration: null, range: null, variant: null, discontinuity: false };
  let map = null;
  for (const line of lines.slice(1)) {
    if (line === "") continue;
    if (!line.startsWith("#")) {
      if (next.variant) list.variants.push({ ...next.variant, uri: line });
      else if (next.duration !== null) {
        const { duration, range, discontinuity } = next;
        list.segments.push({ uri: line, duration, range, map, discontinuity });
      } else throw new Error(`a name that no tag announces: ${line}`);
      Object.assign(next, { duration: null, range: null, variant: null, discontinuity: false });
      continue;
    }
    const [, tag, value = ""] = /^#([A-Z0-9-]+)(?::(.*))?$/.exec(line) ?? [];
    switch (tag) {
      case "EXTINF":
        next.duration = microseconds(value.replace(/,.*$/, ""));
        break;
      case "EXT-X-BYTERANGE":
        next.range = byteRange(value);
        break;
      case "EXT-X-MAP": {
        const { URI, BYTERANGE } = attributes(value);
        map = { uri: URI, range: BYTERANGE ? byteRange(BYTERANGE) : null };
        break;
      }
      case "EXT-X-MEDIA":
        list.media.push(attributes(value));
        break;
      case "EXT-X-STREAM-INF":
        next.variant = attributes(value);
        break;
      case "EXT-X-I-FRAME-STREAM-INF":
        list.iframeVariants.push(attributes(value));
        break;
      case "EXT-X-DISCONTINUITY":
        next.discontinuity = true;
        break;
      case "EXT-X-ENDLIST":
        list.ended = true;
        break;
      case "EXT-X-VERSION":
      case "EXT-X-TARGETDURATION":
      case "EXT-X-MEDIA-SEQUENCE":
      case "EXT-X-PLAYLIST-TYPE":
      case "EXT-X-INDEPENDENT-SEGMENTS":
      case "EXT-X-I-FRAMES-ONLY":
      case "EXT-X-START":
        if (list.tags.has(tag)) throw new Error(`#${tag} stands twice`);
        list.tags.set(tag, value);
        break;
      default:
        if (line.startsWith("#EXT")) list.unknown.push(line);
    }
  }
  return list;
}

/** Whole microseconds: times are never added up as fractions. */
function microseconds(text) {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new Error(`a duration that is no number: ${text}`);
  const [whole, fraction = ""] = text.split(".");
  return Number(whole) * 1_000_000 + Number(fraction.padEnd(6, "0").slice(0, 6));
}

function byteRange(text) {
  const match = /^(\d+)@(\d+)$/.exec(text);
  if (!match) throw new Error(`a byte range without its two numbers: ${text}`);
  return { length: Number(match[1]), offset: Number(match[2]) };
}
