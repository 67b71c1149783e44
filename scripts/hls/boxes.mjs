// Reads the boxes of CMAF init segments and segments (ISO/IEC 14496-12), for the linter.

const CONTAINERS = new Set(["moov", "trak", "mdia", "minf", "stbl", "mvex", "moof", "traf"]);

/** The boxes in `bytes`, containers opened. */
export function boxes(bytes, from = 0, to = bytes.length, allowCut = false) {
  const found = [];
  let at = from;
  while (at < to) {
    if (to - at < 8) throw new Error(`half a box head at byte ${at}`);
    let size = bytes.readUInt32BE(at);
    const kind = bytes.toString("latin1", at + 4, at + 8);
    let head = 8;
    if (size === 1) {
      size = Number(bytes.readBigUInt64BE(at + 8));
      head = 16;
    } else if (size === 0) size = to - at;
    if (size < head) throw new Error(`a ${kind} box of ${size} bytes`);
    // In a byte range of one picture the data box goes on behind it.
    const cut = at + size > to;
    if (cut && !(allowCut && kind === "mdat")) throw new Error(`the ${kind} box at byte ${at} is cut off`);
    const end = Math.min(at + size, to);
    const box = { kind, start: at, body: at + head, end, cut };
    if (CONTAINERS.has(kind)) box.children = boxes(bytes, at + head, end);
    found.push(box);
    at = end;
  }
  return found;
}

export function child(list, ...path) {
  let here = { children: list };
  for (const kind of path) {
    const all = (here.children ?? []).filter((box) => box.kind === kind);
    if (all.length !== 1) throw new Error(`${all.length} ${kind} boxes instead of one`);
    here = all[0];
  }
  return here;
}

/** What an init segment says. */
export function init(bytes) {
  const top = boxes(bytes);
  child(top, "ftyp");
  const trak = child(top, "moov", "trak");
  const mdia = child(trak.children, "mdia");
  const mdhd = child(mdia.children, "mdhd");
  const wide = bytes[mdhd.body] === 1;
  const timescale = bytes.readUInt32BE(mdhd.body + 4 + (wide ? 16 : 8));
  const hdlr = child(mdia.children, "hdlr");
  const handler = bytes.toString("latin1", hdlr.body + 8, hdlr.body + 12);
  const tkhd = child(trak.children, "tkhd");
  const width = bytes.readUInt32BE(tkhd.end - 8) >>> 16;
  const height = bytes.readUInt32BE(tkhd.end - 4) >>> 16;
  const trex = child(top, "moov", "mvex", "trex");
  const word = (index) => bytes.readUInt32BE(trex.body + 4 + index * 4);
  const defaults = { duration: word(2), size: word(3), flags: word(4) };
  const stsd = child(mdia.children, "minf", "stbl", "stsd");
  const [entry] = boxes(bytes, stsd.body + 8, stsd.end);
  return { timescale, handler, width, height, defaults, codec: codec(bytes, entry), entry: entry.kind };
}

/** The RFC 6381 name that the sample entry's bytes give. */
function codec(bytes, entry) {
  if (entry.kind === "avc1") {
    const avcc = child(boxes(bytes, entry.body + 78, entry.end), "avcC");
    return `avc1.${bytes.toString("hex", avcc.body + 1, avcc.body + 4)}`;
  }
  if (entry.kind === "mp4a") {
    const esds = child(boxes(bytes, entry.body + 28, entry.end), "esds");
    const descriptors = bytes.subarray(esds.body + 4, esds.end);
    const { type, config } = audioConfig(descriptors);
    let object = config[0] >> 3;
    if (object === 31) object = 32 + (((config[0] & 7) << 3) | (config[1] >> 5));
    return `mp4a.${type.toString(16)}.${object}`;
  }
  throw new Error(`a sample entry that the linter does not know: ${entry.kind}`);
}

/** Object type and AudioSpecificConfig out of an ES descriptor (ISO/IEC 14496-1, 7.2.6). */
function audioConfig(bytes) {
  let at = 0;
  const open = (tag) => {
    if (bytes[at] !== tag) throw new Error(`descriptor ${bytes[at]} instead of ${tag}`);
    at += 1;
    let size = 0;
    for (;;) {
      const byte = bytes[at];
      at += 1;
      size = (size << 7) | (byte & 0x7f);
      if (!(byte & 0x80)) return size;
    }
  };
  open(3);
  at += 3;
  open(4);
  const type = bytes[at];
  at += 13;
  const size = open(5);
  return { type, config: bytes.subarray(at, at + size) };
}

/** The fragments of a segment: times in ticks, samples in coding order. */
export function fragments(bytes, defaults, allowCut = false) {
  const top = boxes(bytes, 0, bytes.length, allowCut);
  const found = [];
  for (const [index, moof] of top.entries()) {
    if (moof.kind !== "moof") continue;
    const mdat = top[index + 1];
    if (mdat?.kind !== "mdat") throw new Error("a moof without its mdat behind it");
    found.push({ ...fragment(bytes, moof, defaults), mdat, start: moof.start });
  }
  return found;
}

function fragment(bytes, moof, track) {
  const traf = child(moof.children, "traf");
  const tfhd = child(traf.children, "tfhd");
  const flags = bytes.readUInt32BE(tfhd.body) & 0xffffff;
  let at = tfhd.body + 8 + (flags & 1 ? 8 : 0) + (flags & 2 ? 4 : 0);
  const take = (present, otherwise) => {
    if (!present) return otherwise;
    at += 4;
    return bytes.readUInt32BE(at - 4);
  };
  const duration = take(flags & 8, track.duration);
  const size = take(flags & 0x10, track.size);
  const sampleFlags = take(flags & 0x20, track.flags);
  const tfdt = child(traf.children, "tfdt");
  const time =
    bytes[tfdt.body] === 1 ? Number(bytes.readBigUInt64BE(tfdt.body + 4)) : bytes.readUInt32BE(tfdt.body + 4);
  const trun = child(traf.children, "trun");
  const version = bytes[trun.body];
  const run = bytes.readUInt32BE(trun.body) & 0xffffff;
  const count = bytes.readUInt32BE(trun.body + 4);
  at = trun.body + 8;
  take(run & 1, 0);
  const first = take(run & 4, null);
  const samples = [];
  for (let index = 0; index < count; index += 1) {
    const sample = {
      duration: take(run & 0x100, duration),
      size: take(run & 0x200, size),
    };
    const own = take(run & 0x400, index === 0 && first !== null ? first : sampleFlags);
    sample.sync = (own & 0x10000) === 0;
    const offset = take(run & 0x800, 0);
    sample.offset = version === 0 ? offset : offset | 0;
    samples.push(sample);
  }
  return { time, samples };
}

/** Kinds of the NAL units in an AVC sample with four-byte lengths. */
export function nalKinds(bytes) {
  const kinds = [];
  let at = 0;
  while (at + 4 <= bytes.length) {
    const size = bytes.readUInt32BE(at);
    if (size === 0 || at + 4 + size > bytes.length) throw new Error("a NAL unit that is cut off");
    kinds.push(bytes[at + 4] & 0x1f);
    at += 4 + size;
  }
  return kinds;
}
