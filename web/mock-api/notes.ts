// Tags, bins, markers, comments and the order of subclips, as a node keeps them.

import type { Bin, Facets, Labelling, Marker, NewMarker, Video } from "../src/api/types.ts";
import { rateText } from "../src/api/filter.ts";
import { timecodeAt } from "../src/player/timecode.ts";
import type { Db, Tell } from "./db.ts";

interface Answer {
  status: number;
  body?: unknown;
  /** Of a problem. */
  code?: string;
}

const refused = (status: number, code: string, detail: string): Answer => ({ status, code, body: detail });

export class Notes {
  private readonly bins = new Map<string, { id: string; name: string; created_at: string }>();
  private readonly markers = new Map<string, Marker>();
  private readonly db: Db;
  private readonly tell: Tell;
  private serial = 0;

  constructor(db: Db, tell: Tell) {
    this.db = db;
    this.tell = tell;
  }

  /** `null` if it is nothing of this room's. */
  answer(method: string, room: string, id: string | undefined, verb: string | undefined, body: unknown) {
    if (room === "facets") return { status: 200, body: this.facets() };
    if (room === "labels") return this.label(body as Labelling);
    if (room === "bins") return this.bin(method, id, body as { name: string });
    if (room === "videos" && id && verb === "markers") return this.markersOf(method, id, body as NewMarker);
    if (room === "videos" && id && verb === "clip-order") return this.order(id, body as { clips: string[] });
    if (room === "markers" && id) return this.marker(method, id, verb, body as Record<string, unknown>);
    if (room === "comments" && id) return this.comment(method, id, body as { text: string });
    return null;
  }

  private uuid(): string {
    return `01930d5d-0000-7000-8000-${String(++this.serial).padStart(12, "0")}`;
  }

  private shown(bin: { id: string; name: string; created_at: string }): Bin {
    const videos = [...this.db.videos.values()].filter(({ bins }) => bins.includes(bin.id)).length;
    return { ...bin, videos };
  }

  private facets(): Facets {
    const tags = new Map<string, number>();
    const rates = new Map<string, { frame_rate: { num: number; den: number }; videos: number }>();
    const sites = new Map<string, number>();
    for (const video of this.db.videos.values()) {
      for (const tag of video.tags) tags.set(tag, (tags.get(tag) ?? 0) + 1);
      for (const site of new Set(video.copies.map((copy) => copy.site)))
        sites.set(site, (sites.get(site) ?? 0) + 1);
      if (!video.frame_rate) continue;
      const key = rateText(video.frame_rate);
      const known = rates.get(key) ?? { frame_rate: video.frame_rate, videos: 0 };
      rates.set(key, { ...known, videos: known.videos + 1 });
    }
    const named = (map: Map<string, number>) =>
      [...map]
        .map(([name, videos]) => ({ name, videos }))
        .sort((a, b) => a.name.toLowerCase().localeCompare(b.name.toLowerCase()));
    return {
      tags: named(tags),
      bins: [...this.bins.values()]
        .map((bin) => this.shown(bin))
        .sort((a, b) => a.name.toLowerCase().localeCompare(b.name.toLowerCase())),
      rates: [...rates.values()],
      sites: named(sites),
    };
  }

  private label(wish: Labelling): Answer {
    const { videos = [], add_tags = [], remove_tags = [], add_bins = [], remove_bins = [] } = wish;
    if (videos.length > 200)
      return refused(422, "limit_exceeded", "The list's number of videos has more than 200.");
    if (add_tags.some((tag) => tag.includes(",")))
      return refused(409, "wrong_state", "The tag is written with a comma, so this cannot be done.");
    const gone = new Set(remove_tags.map((tag) => tag.toLowerCase()));
    for (const id of videos) {
      const video = this.db.videos.get(id);
      if (!video) continue;
      const tags = video.tags.filter((tag) => !gone.has(tag.toLowerCase()));
      for (const tag of add_tags)
        if (!tags.some((known) => known.toLowerCase() === tag.toLowerCase())) tags.push(tag);
      const bins = video.bins.filter((bin) => !remove_bins.includes(bin));
      for (const bin of add_bins) if (!bins.includes(bin)) bins.push(bin);
      this.db.change(id, { tags: tags.sort(), bins });
    }
    this.tell("bins", {});
    return { status: 204 };
  }

  private bin(method: string, id: string | undefined, body: { name: string }): Answer {
    const known = id ? this.bins.get(id) : undefined;
    if (id && !known) return refused(404, "bin_not_found", `There is no bin ${id}.`);
    if (method === "GET") {
      const { bins } = this.facets();
      return { status: 200, body: { items: bins, next_cursor: null, total: bins.length } };
    }
    if (method === "DELETE" && known) {
      for (const video of this.db.videos.values())
        if (video.bins.includes(known.id))
          this.db.change(video.id, { bins: video.bins.filter((bin) => bin !== known.id) });
      this.bins.delete(known.id);
      this.tell("bins", {});
      return { status: 204 };
    }
    const name = body.name.trim();
    if (!name) return refused(409, "wrong_state", "The bin's name is empty, so this cannot be done.");
    for (const other of this.bins.values())
      if (other !== known && other.name.toLowerCase() === name.toLowerCase())
        return refused(409, "exists", `A bin called "${other.name}" exists already.`);
    const bin = known ? { ...known, name } : { id: this.uuid(), name, created_at: new Date().toISOString() };
    this.bins.set(bin.id, bin);
    this.tell("bins", {});
    return { status: known ? 200 : 201, body: this.shown(bin) };
  }

  private order(id: string, { clips }: { clips: string[] }): Answer {
    const video = this.db.videos.get(id);
    if (!video) return refused(404, "video_not_found", "There is no video with this id.");
    this.db.arrange(id, clips);
    const items = this.db.videos.get(id)?.clips ?? [];
    return { status: 200, body: { items, next_cursor: null, total: items.length } };
  }

  private markersOf(method: string, id: string, wish: NewMarker): Answer {
    const video = this.db.videos.get(id);
    if (!video) return refused(404, "video_not_found", "There is no video with this id.");
    if (method === "GET") {
      const items = this.of(id);
      return { status: 200, body: { items, next_cursor: null, total: items.length } };
    }
    const start = wish.in_frame ?? 0;
    const end = wish.out_frame ?? start + 1;
    if (end <= start || end > (video.duration_frames ?? 0))
      return refused(422, "clip_out_of_range", `The video has ${video.duration_frames} frames.`);
    const marker: Marker = {
      id: this.uuid(),
      video_id: id,
      ...this.points(video, start, end),
      colour: wish.colour ?? "red",
      text: wish.text ?? "",
      author: wish.author ?? "",
      created_at: new Date().toISOString(),
      edited_at: null,
      resolved_at: null,
      resolved_by: null,
      comments: [],
    };
    return { status: 201, body: this.put(marker) };
  }

  private points(video: Video, start: number, end: number) {
    const rate = video.frame_rate ?? { num: 25, den: 1 };
    return {
      in_frame: start,
      out_frame: end,
      in: timecodeAt(start, rate, video.start_timecode),
      out: timecodeAt(end, rate, video.start_timecode),
    };
  }

  private of(video: string): Marker[] {
    return [...this.markers.values()]
      .filter(({ video_id }) => video_id === video)
      .sort((a, b) => a.in_frame - b.in_frame);
  }

  private put(marker: Marker): Marker {
    this.markers.set(marker.id, marker);
    this.tell("marker", marker);
    this.count(marker.video_id);
    return marker;
  }

  private count(video: string) {
    this.db.change(video, { open_markers: this.of(video).filter(({ resolved_at }) => !resolved_at).length });
  }

  private marker(
    method: string,
    id: string,
    verb: string | undefined,
    body: Record<string, unknown>,
  ): Answer {
    const old = this.markers.get(id);
    if (!old) return refused(404, "marker_not_found", `There is no marker ${id}.`);
    const now = new Date().toISOString();
    if (verb === "comments") {
      const text = String(body["text"] ?? "").trim();
      if (!text) return refused(409, "wrong_state", "The comment is empty, so this cannot be done.");
      const author = String(body["author"] ?? "");
      const comment = { id: this.uuid(), text, author, created_at: now, edited_at: null };
      return { status: 201, body: this.put({ ...old, comments: [...old.comments, comment] }) };
    }
    if (method === "DELETE") {
      this.markers.delete(id);
      this.tell("marker_deleted", { id, video_id: old.video_id });
      this.count(old.video_id);
      return { status: 204 };
    }
    const { text, colour, resolved, by = "" } = body;
    return {
      status: 200,
      body: this.put({
        ...old,
        ...(text === undefined ? {} : { text: String(text), edited_at: now }),
        ...(colour === undefined ? {} : { colour: colour as Marker["colour"] }),
        ...(resolved === undefined
          ? {}
          : { resolved_at: resolved ? now : null, resolved_by: resolved ? String(by) : null }),
      }),
    };
  }

  private comment(method: string, id: string, { text }: { text: string }): Answer {
    const marker = [...this.markers.values()].find(({ comments }) => comments.some((each) => each.id === id));
    if (!marker) return refused(404, "comment_not_found", `There is no comment ${id}.`);
    const edited_at = new Date().toISOString();
    const comments =
      method === "DELETE"
        ? marker.comments.filter((each) => each.id !== id)
        : marker.comments.map((each) => (each.id === id ? { ...each, text, edited_at } : each));
    const body = this.put({ ...marker, comments });
    return method === "DELETE" ? { status: 204 } : { status: 200, body };
  }
}
