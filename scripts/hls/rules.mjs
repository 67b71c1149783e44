// What Apple's HLS Authoring Specification and RFC 8216 ask of a video: every playlist and every
// segment is looked at. Knows no network: `fetch` gives the bytes under a URL.

import { fragments, init as readInit, nalKinds } from "./boxes.mjs";
import { parse } from "./m3u8.mjs";

const PLAYLIST_TYPE = "application/vnd.apple.mpegurl";

/** Walks the video under `url`. Resolves to `{ checks, must, should }`: how many checks were made,
 *  and in words what broke a rule. `fetch(url, range?)` resolves to `{ bytes, headers }`. */
export async function lint(url, fetch, options = {}) {
  const report = { checks: 0, must: [], should: [] };
  const context = { fetch, report, growing: options.growing ?? false, inits: new Map() };
  try {
    await multivariant(url, context);
  } catch (error) {
    report.must.push(`${url}: ${error.message}`);
  }
  return report;
}

function must(context, where, holds, what) {
  context.report.checks += 1;
  if (!holds) context.report.must.push(`${where}: ${what}`);
}

function should(context, where, holds, what) {
  context.report.checks += 1;
  if (!holds) context.report.should.push(`${where}: ${what}`);
}

async function playlist(url, context) {
  const { bytes, headers } = await context.fetch(url);
  if (headers) {
    must(context, url, headers["content-type"] === PLAYLIST_TYPE, `its type is ${headers["content-type"]}`);
    must(context, url, headers["access-control-allow-origin"] !== undefined, "pages of other sites may not read it");
    must(context, url, headers["cache-control"] !== undefined, "no cache is told how long it holds");
  }
  const list = parse(bytes.toString("utf8"));
  must(context, url, list.unknown.length === 0, `unknown tags ${list.unknown.join(" ")}`);
  must(context, url, Number(list.tags.get("EXT-X-VERSION")) >= 6, "EXT-X-MAP wants version 6 or later");
  must(context, url, list.tags.has("EXT-X-INDEPENDENT-SEGMENTS"), "EXT-X-INDEPENDENT-SEGMENTS is missing");
  return list;
}

async function multivariant(url, context) {
  const list = await playlist(url, context);
  must(context, url, list.variants.length > 0, "there is no variant");
  const groups = new Map();
  for (const media of list.media) {
    const key = media["GROUP-ID"];
    groups.set(key, [...(groups.get(key) ?? []), media]);
  }
  const sound = new Map();
  for (const [group, all] of groups) {
    const names = all.map((media) => media.NAME);
    must(context, url, new Set(names).size === names.length, `group ${group} has two tracks of one name`);
    const defaults = all.filter((media) => media.DEFAULT === "YES");
    must(context, url, defaults.length === 1, `group ${group} has ${defaults.length} defaults`);
    for (const media of all) {
      must(context, url, media.TYPE !== "AUDIO" || /^\d+$/.test(media.CHANNELS ?? ""), `${media.NAME}: no CHANNELS`);
      must(context, url, media.DEFAULT !== "YES" || media.AUTOSELECT === "YES", `${media.NAME}: default, not AUTOSELECT`);
      should(context, url, media.TYPE !== "AUDIO" || all.length === 1 || media.LANGUAGE, `${media.NAME}: no LANGUAGE`);
      if (media.TYPE === "AUDIO") {
        const track = await rendition(new URL(media.URI, url).href, context, "soun");
        sound.set(group, [...(sound.get(group) ?? []), track]);
      }
    }
  }
  let reference = null;
  for (const variant of list.variants) {
    const at = new URL(variant.uri, url).href;
    const track = await rendition(at, context, "vide");
    checkVariant(variant, track, sound.get(variant.AUDIO) ?? [], context, at);
    must(context, at, !variant.AUDIO || groups.has(variant.AUDIO), `there is no group ${variant.AUDIO}`);
    for (const heard of sound.get(variant.AUDIO) ?? []) {
      const apart = Math.abs(heard.us - track.us);
      // While it grows, sound may be listed up to a segment further than pictures.
      const slack = context.growing ? 7_000_000 : 300_000;
      must(context, at, apart <= slack, `sound and pictures differ by ${apart} µs`);
    }
    reference ??= { at, track };
    must(context, at, same(reference.track.starts, track.starts), `its segments do not begin where those of ${reference.at} do`);
    must(context, at, same(reference.track.keys, track.keys), `its key pictures are not where those of ${reference.at} are`);
  }
  must(context, url, list.iframeVariants.length > 0, "there is no I-frame playlist");
  for (const variant of list.iframeVariants) await iframes(new URL(variant.URI, url).href, variant, reference.track, context);
}

function same(one, other) {
  return one.length === other.length && one.every((value, index) => value === other[index]);
}

function checkVariant(variant, track, sound, context, at) {
  const loudest = (of) => sound.reduce((most, heard) => Math.max(most, of(heard)), 0);
  const average = track.average + loudest((heard) => heard.average);
  const peak = track.peak + loudest((heard) => heard.peak);
  const said = Number(variant["AVERAGE-BANDWIDTH"]);
  must(context, at, Math.abs(said - average) <= average * 0.1, `AVERAGE-BANDWIDTH ${said}, measured ${Math.round(average)}`);
  const top = Number(variant.BANDWIDTH);
  must(context, at, top >= peak * 0.99 && top <= peak * 1.1, `BANDWIDTH ${top}, measured ${Math.round(peak)}`);
  should(context, at, peak <= average * 2, `its peak is ${(peak / average).toFixed(1)} times its average`);
  const codecs = new Set(variant.CODECS?.split(","));
  const found = new Set([...track.codecs, ...sound.flatMap((heard) => [...heard.codecs])]);
  must(context, at, same([...codecs].sort(), [...found].sort()), `CODECS ${[...codecs]}, in the files ${[...found]}`);
  must(context, at, variant.RESOLUTION === `${track.width}x${track.height}`, `RESOLUTION ${variant.RESOLUTION}`);
  const rate = Number(variant["FRAME-RATE"]);
  must(context, at, Math.abs(rate - track.rate) < 0.02 * track.rate, `FRAME-RATE ${rate}, measured ${track.rate.toFixed(3)}`);
  must(context, at, rate <= 60, `${rate} pictures a second`);
  must(context, at, ["SDR", "HLG", "PQ"].includes(variant["VIDEO-RANGE"]), "no VIDEO-RANGE");
  must(context, at, variant["CLOSED-CAPTIONS"] === "NONE", "it does not say that there are no closed captions");
}

async function initOf(map, base, context) {
  const url = new URL(map.uri, base).href;
  if (!context.inits.has(url)) {
    const { bytes, headers } = await context.fetch(url);
    mediaHeaders(headers, url, context);
    context.inits.set(url, { ...readInit(bytes), bytes });
  }
  return context.inits.get(url);
}

function mediaHeaders(headers, url, context) {
  if (!headers) return;
  must(context, url, /^(video|audio)\/mp4$/.test(headers["content-type"]), `its type is ${headers["content-type"]}`);
  must(context, url, headers["content-encoding"] === undefined, "media is compressed a second time");
  must(context, url, /^"[^"]+"$/.test(headers.etag ?? ""), `no strong ETag: ${headers.etag}`);
  must(context, url, headers["access-control-allow-origin"] !== undefined, "pages of other sites may not read it");
}

/** A media playlist with all its segments. */
async function rendition(url, context, handler) {
  const list = await playlist(url, context);
  const target = Number(list.tags.get("EXT-X-TARGETDURATION"));
  const kind = list.tags.get("EXT-X-PLAYLIST-TYPE");
  must(context, url, list.segments.length > 0, "there is no segment");
  must(context, url, list.ended ? kind === "VOD" : kind === "EVENT", `type ${kind}, ended: ${list.ended}`);
  must(context, url, list.ended || context.growing, "EXT-X-ENDLIST is missing");
  const track = { starts: [], keys: [], codecs: new Set(), us: 0, ticks: 0, sizes: [], width: 0, height: 0, rate: 0 };
  let pictures = 0;
  for (const [index, segment] of list.segments.entries()) {
    const at = new URL(segment.uri, url).href;
    must(context, at, segment.map !== null, "no EXT-X-MAP");
    must(context, at, Math.round(segment.duration / 1e6) <= target, `${segment.duration} µs, the target is ${target} s`);
    const last = index === list.segments.length - 1;
    should(context, at, segment.duration >= 500_000 || (last && index === 0), `it has only ${segment.duration} µs`);
    const init = await initOf(segment.map, url, context);
    must(context, at, init.handler === handler, `it is ${init.handler}, not ${handler}`);
    must(context, at, track.timescale === undefined || track.timescale === init.timescale, "the timescale changes");
    track.timescale = init.timescale;
    track.codecs.add(init.codec);
    [track.width, track.height] = [init.width, init.height];
    const { bytes, headers } = await context.fetch(at);
    mediaHeaders(headers, at, context);
    pictures += segmentTimes(bytes, init, segment, track, context, at);
    track.sizes.push([bytes.length, segment.duration]);
  }
  track.rate = (pictures * track.timescale) / track.ticks;
  track.average = rate(track.sizes);
  track.peak = peak(track.sizes, target * 1e6);
  return track;
}

/** Reads a segment's times and adds them to the track's; gives the number of its samples. */
function segmentTimes(bytes, init, segment, track, context, at) {
  const began = track.ticks;
  const shown = [];
  const parts = fragments(bytes, init.defaults);
  must(context, at, parts.length > 0, "there is no fragment");
  must(context, at, parts[0]?.time === track.ticks, `it begins at ${parts[0]?.time}, the one before ended at ${track.ticks}`);
  track.starts.push(`${track.ticks}/${init.timescale}`);
  for (const part of parts) {
    must(context, at, part.time === track.ticks, `a gap: ${part.time} after ${track.ticks}`);
    const data = part.samples.reduce((sum, sample) => sum + sample.size, 0);
    must(context, at, data === part.mdat.end - part.mdat.body, "the samples do not fill the data");
    let offset = part.mdat.body;
    for (const sample of part.samples) {
      if (sample.sync && init.handler === "vide") {
        const kinds = nalKinds(bytes.subarray(offset, offset + sample.size));
        must(context, at, kinds.includes(5), `a key picture without an IDR: ${kinds}`);
        track.keys.push(`${track.ticks + sample.offset}/${init.timescale}`);
      }
      shown.push(track.ticks + sample.offset);
      offset += sample.size;
      track.ticks += sample.duration;
    }
  }
  must(context, at, parts[0]?.samples[0]?.sync === true, "its first picture does not decode alone");
  must(context, at, Math.min(...shown) === began, `shown from ${Math.min(...shown)} on, not ${began}`);
  must(context, at, new Set(shown).size === shown.length, "two pictures are shown at one time");
  const us = (track.ticks * 1e6) / init.timescale;
  track.us += segment.duration;
  must(context, at, Math.abs(track.us - us) <= 1, `EXTINF adds up to ${track.us} µs, the samples to ${Math.round(us)}`);
  return shown.length;
}

function rate(sizes) {
  const bytes = sizes.reduce((sum, [size]) => sum + size, 0);
  const us = sizes.reduce((sum, [, duration]) => sum + duration, 0);
  return (bytes * 8e6) / us;
}

/** RFC 8216, 4.1: the largest rate of segments in a row that last 0.5 to 1.5 target durations. */
function peak(sizes, target) {
  let most = 0;
  for (let from = 0; from < sizes.length; from += 1) {
    for (let to = from + 1; to <= sizes.length; to += 1) {
      const us = sizes.slice(from, to).reduce((sum, [, duration]) => sum + duration, 0);
      if (us > target * 1.5) break;
      if (us >= target * 0.5) most = Math.max(most, rate(sizes.slice(from, to)));
    }
  }
  return Math.max(most, rate(sizes));
}

/** An I-frame playlist: every range holds one picture that decodes alone. */
async function iframes(url, variant, reference, context) {
  const list = await playlist(url, context);
  must(context, url, list.tags.has("EXT-X-I-FRAMES-ONLY"), "EXT-X-I-FRAMES-ONLY is missing");
  must(context, url, list.segments.length > 0, "there is no picture");
  const times = [];
  const sizes = [];
  let us = 0;
  for (const picture of list.segments) {
    const at = `${new URL(picture.uri, url).href} ${JSON.stringify(picture.range)}`;
    must(context, at, picture.range !== null, "no EXT-X-BYTERANGE");
    const init = await initOf(picture.map, url, context);
    const { bytes } = await context.fetch(new URL(picture.uri, url).href, picture.range);
    must(context, at, bytes.length === picture.range.length, `${bytes.length} bytes came`);
    const [part, ...rest] = fragments(bytes, init.defaults, true);
    const sample = part.samples[0];
    must(context, at, rest.length === 0 && sample.sync, "it is not one picture that decodes alone");
    must(context, at, part.mdat.body + sample.size === bytes.length, "the range does not end with its picture");
    const kinds = nalKinds(bytes.subarray(part.mdat.body, part.mdat.body + sample.size));
    must(context, at, kinds.includes(5), "it holds no IDR");
    const shown = part.time + sample.offset;
    must(context, at, Math.abs((shown * 1e6) / init.timescale - us) <= 1, `shown at ${shown}, listed at ${us} µs`);
    times.push(`${shown}/${init.timescale}`);
    us += picture.duration;
    sizes.push([bytes.length, picture.duration]);
    must(context, at, variant.CODECS.split(",").includes(init.codec), `CODECS ${variant.CODECS}, in the file ${init.codec}`);
  }
  const known = new Set(reference.keys);
  must(context, url, times.every((time) => known.has(time)), "it lists a picture that no segment has as a key picture");
  must(context, url, Math.abs(us - reference.us) <= 1, `it has ${us} µs, the segments ${reference.us}`);
  const top = peak(sizes, Number(list.tags.get("EXT-X-TARGETDURATION")) * 1e6);
  const said = Number(variant.BANDWIDTH);
  must(context, url, said >= top * 0.99 && said <= top * 1.1, `BANDWIDTH ${said}, measured ${Math.round(top)}`);
}
