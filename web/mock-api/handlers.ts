// The HTTP API of a node, as far as the pages use it, over the mock's data.

import { createReadStream, existsSync, statSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join, normalize } from "node:path";
import { belongs, EVERYTHING, type VideoFilter } from "../src/api/filter.ts";
import { EXPORT_FORMATS, type EventData, type Video } from "../src/api/types.ts";
import { Db, MEDIA, type ClipWish } from "./db.ts";
import { drawn } from "./drawn.ts";
import { Notes } from "./notes.ts";

const TYPES: Record<string, string> = {
  ".m3u8": "application/vnd.apple.mpegurl",
  ".m4s": "video/mp4",
  ".mp4": "video/mp4",
  ".jpg": "image/jpeg",
};

/** `MOCK_SLOW_MS` makes every answer late; `MOCK_FAIL=1` makes the API fail. */
const SLOW_MS = Number(process.env["MOCK_SLOW_MS"] ?? 0);
const FAIL = process.env["MOCK_FAIL"] === "1";
/** `MOCK_EXPORT_MANY=1` is a node that writes the subclips of several videos into one file. */
const EXPORT_MANY = process.env["MOCK_EXPORT_MANY"] === "1";
/** `MOCK_OLD_NODE=1` is a node that knows no subclips and no exports yet. */
const OLD_NODE = process.env["MOCK_OLD_NODE"] === "1";
/** Bytes per second that uploads are taken at; 0 is as fast as they come. */
const UPLOAD_RATE = Number(process.env["MOCK_UPLOAD_RATE"] ?? 0);

interface Upload {
  length: number;
  offset: number;
  filename: string;
}

export function makeHandlers() {
  const followers = new Set<ServerResponse>();
  let eventId = 0;
  const tell = <Name extends keyof EventData>(name: Name, data: EventData[Name]) => {
    eventId += 1;
    for (const follower of followers)
      follower.write(`id: ${eventId}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  const db = new Db(tell);
  const notes = new Notes(db, tell);
  const uploads = new Map<string, Upload>();
  let uploadId = 0;

  const json = (response: ServerResponse, body: unknown, status = 200) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  };
  const problem = (response: ServerResponse, status: number, code: string, detail: string) => {
    response.writeHead(status, { "content-type": "application/problem+json" });
    response.end(JSON.stringify({ type: "about:blank", title: "Refused", status, detail, code }));
  };

  return async function handle(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const url = new URL(request.url ?? "/", "http://mock");
    const path = url.pathname;
    if (path.startsWith("/hls/")) {
      media(path, url.searchParams, request, response);
      return true;
    }
    if (path.startsWith("/mock/nodes/") && request.method === "POST") {
      // The stories make a node die by this, and come back.
      const [, , , name = "", state = "away"] = path.split("/");
      const known = db.changeNode(name, { state, leader: false, seen_at: new Date().toISOString() });
      response.writeHead(known ? 204 : 404).end();
      return true;
    }
    if (!path.startsWith("/api/v1/")) return false;
    const [, , , room, id, verb] = path.split("/");
    const method = request.method ?? "GET";
    if (SLOW_MS > 0) await new Promise((wake) => setTimeout(wake, SLOW_MS));
    if (FAIL) {
      problem(
        response,
        503,
        "no_leader",
        "This cluster has no leader just now: fewer than half of its voters are up. Start the others, or look at their logs.",
      );
      return true;
    }
    const noting = ["facets", "labels", "bins", "markers", "comments"].includes(room ?? "");
    if (!OLD_NODE && (noting || verb === "markers" || verb === "clip-order")) {
      const wish = ["POST", "PUT", "PATCH"].includes(method) ? await body(request) : {};
      const answer = notes.answer(method, room ?? "", id, verb, wish);
      if (!answer) problem(response, 404, "not_found", "There is nothing at this address.");
      else if (answer.code) problem(response, answer.status, answer.code, String(answer.body));
      else if (answer.body === undefined) response.writeHead(answer.status).end();
      else json(response, answer.body, answer.status);
      return true;
    }
    if (room === "openapi.json") {
      json(response, { openapi: "3.1.0", paths: Object.fromEntries(paths().map((each) => [each, {}])) });
    } else if (room === "events") {
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
      response.write(": hello\n\n");
      followers.add(response);
      request.on("close", () => followers.delete(response));
    } else if (room === "videos" && !id) {
      json(response, listVideos(db, url.searchParams));
    } else if (room === "videos" && id && verb === "original") {
      response.writeHead(200, { "content-type": "application/octet-stream" });
      response.end("original");
    } else if (!OLD_NODE && room === "videos" && id && verb === "clips" && method === "POST") {
      await createClip(request, response, id);
    } else if (!OLD_NODE && room === "videos" && id && verb === "export") {
      exported(response, [id], url.searchParams.get("format") ?? "");
    } else if (!OLD_NODE && room === "export" && url.searchParams.has("videos")) {
      const ids = url.searchParams.get("videos")?.split(",") ?? [];
      exported(response, ids, url.searchParams.get("format") ?? "");
    } else if (!OLD_NODE && room === "clips" && id) {
      await clip(request, response, id, verb);
    } else if (room === "videos" && id && verb) {
      problem(response, 404, "not_found", "There is nothing at this address.");
    } else if (room === "videos" && id) {
      const video = db.videos.get(id);
      if (!video) problem(response, 404, "video_not_found", "There is no video with this id.");
      else if (method === "PATCH") {
        const { filename = "" } = (await body(request)) as { filename?: string };
        if (!filename.trim()) problem(response, 422, "bad_filename", "The file name is empty.");
        else {
          db.change(id, { filename: filename.trim() });
          json(response, db.videos.get(id));
        }
      } else if (method === "DELETE") {
        db.remove(id);
        response.writeHead(204).end();
      } else json(response, video);
    } else if (room === "jobs" && !id) {
      json(response, listJobs(db, url.searchParams));
    } else if (room === "jobs" && id && method === "POST") {
      const job = db.jobs.get(id);
      if (!job) problem(response, 404, "job_not_found", "There is no job with this id.");
      else {
        if (verb === "retry")
          db.changeJob(id, {
            state: "waiting",
            failure: null,
            attempts: 0,
            waiting_because: ["It was just asked for."],
          });
        else db.changeJob(id, { state: "cancelled" });
        json(response, db.jobs.get(id));
      }
    } else if (room === "nodes") {
      json(response, { items: db.nodes, next_cursor: null, total: db.nodes.length });
    } else if (room === "uploads") {
      await tus(request, response, id);
    } else {
      problem(response, 404, "not_found", "There is nothing at this address.");
    }
    return true;
  };

  function paths(): string[] {
    const known = ["videos", "videos/{id}", "jobs", "nodes", "events"];
    if (EXPORT_MANY) known.push("export");
    const clips = ["facets", "labels", "bins", "videos/{id}/markers", "videos/{id}/clip-order"];
    clips.push("videos/{id}/clips", "videos/{id}/export", "clips/{id}", "clips/{id}/render");
    return [...known, ...(OLD_NODE ? [] : [...clips, "clips/{id}/download"])].map(
      (each) => `/api/v1/${each}`,
    );
  }

  async function createClip(request: IncomingMessage, response: ServerResponse, id: string) {
    const video = db.videos.get(id);
    if (!video) return problem(response, 404, "video_not_found", "There is no video with this id.");
    const wish = (await body(request)) as Partial<ClipWish>;
    const { name, in_frame, out_frame } = wish;
    if (!name?.trim()) return problem(response, 422, "bad_name", "A subclip needs a name.");
    if (
      !Number.isInteger(in_frame) ||
      !Number.isInteger(out_frame) ||
      Number(in_frame) < 0 ||
      Number(out_frame) <= Number(in_frame) ||
      Number(out_frame) > (video.duration_frames ?? 0)
    ) {
      return problem(
        response,
        422,
        "bad_range",
        `The range ${in_frame} to ${out_frame} does not lie inside the video, which has ${video.duration_frames} frames.`,
      );
    }
    json(response, db.addClip(video, wish as ClipWish), 201);
  }

  async function clip(
    request: IncomingMessage,
    response: ServerResponse,
    id: string,
    verb: string | undefined,
  ) {
    const found = db.clips.get(id);
    if (!found) return problem(response, 404, "clip_not_found", "There is no subclip with this id.");
    if (verb === "render" && request.method === "POST") {
      db.renderClip(id);
      return json(response, db.clips.get(id), 202);
    }
    if (verb === "download") {
      if (found.status !== "ready")
        return problem(response, 409, "clip_not_ready", "Render this subclip first.");
      response.writeHead(200, {
        "content-type": "video/mp4",
        "content-disposition": `attachment; filename="${found.name}.mp4"`,
      });
      return response.end("a subclip");
    }
    if (request.method === "DELETE") {
      db.removeClip(id);
      return response.writeHead(204).end();
    }
    if (request.method === "PATCH") {
      const { name } = (await body(request)) as { name?: string };
      if (name !== undefined && !name.trim())
        return problem(response, 422, "bad_name", "A subclip needs a name.");
      db.setClip({ ...found, ...(name ? { name } : {}) });
    }
    json(response, db.clips.get(id));
  }

  function exported(response: ServerResponse, ids: readonly string[], format: string) {
    const videos = ids.map((id) => db.videos.get(id)).filter((video) => video !== undefined);
    const [first] = videos;
    if (!first || videos.length < ids.length)
      return problem(response, 404, "video_not_found", "There is no video with this id.");
    if (!EXPORT_FORMATS.some((known) => known === format))
      return problem(response, 400, "bad_query", `There is no format ${format}.`);
    const stem = videos.length > 1 ? "Subclips" : first.filename.replace(/\.[^.]+$/, "");
    response.writeHead(200, {
      "content-type": "application/octet-stream",
      "content-disposition": `attachment; filename*=UTF-8''${encodeURIComponent(`${stem}.${format}`)}`,
    });
    const lines = videos.flatMap(({ clips }) =>
      clips.map((each) => [each.name, each.in, each.out, each.duration_frames].join(",")),
    );
    response.end(["name,in,out,frames", ...lines].join("\n") + "\n");
  }

  async function tus(request: IncomingMessage, response: ServerResponse, id: string | undefined) {
    const base = { "Tus-Resumable": "1.0.0", "Cache-Control": "no-store" };
    const finish = (upload: Upload) =>
      upload.offset === upload.length
        ? { "Reelmesh-Video-Id": db.uploaded(upload.filename, upload.length) }
        : {};
    if (request.method === "POST" && !id) {
      const metadata = Object.fromEntries(
        String(request.headers["upload-metadata"] ?? "")
          .split(",")
          .map((pair) => pair.trim().split(" "))
          .map(([key, value]) => [key, Buffer.from(value ?? "", "base64").toString("utf8")]),
      ) as Record<string, string>;
      const upload = {
        length: Number(request.headers["upload-length"]),
        offset: 0,
        filename: metadata["filename"] ?? "video",
      };
      const key = String(++uploadId) + Date.now().toString(36);
      uploads.set(key, upload);
      response.writeHead(201, { ...base, Location: `/api/v1/uploads/${key}`, ...finish(upload) }).end();
      return;
    }
    const upload = uploads.get(id ?? "");
    if (!upload)
      return problem(
        response,
        404,
        "upload_not_found",
        "There is no upload with this id; it may have lapsed.",
      );
    if (request.method === "HEAD") {
      response
        .writeHead(200, { ...base, "Upload-Offset": upload.offset, "Upload-Length": upload.length })
        .end();
    } else if (request.method === "DELETE") {
      uploads.delete(id ?? "");
      response.writeHead(204, base).end();
    } else if (request.method === "PATCH") {
      if (Number(request.headers["upload-offset"]) !== upload.offset) {
        return problem(response, 409, "wrong_offset", `The node has ${upload.offset} bytes of this upload.`);
      }
      for await (const chunk of request as AsyncIterable<Buffer>) {
        upload.offset += chunk.length;
        if (UPLOAD_RATE > 0)
          await new Promise((wake) => setTimeout(wake, (chunk.length * 1000) / UPLOAD_RATE));
      }
      response.writeHead(204, { ...base, "Upload-Offset": upload.offset, ...finish(upload) }).end();
    } else {
      problem(response, 405, "method_not_allowed", "Uploads know POST, HEAD, PATCH and DELETE.");
    }
  }
}

function listVideos(db: Db, query: URLSearchParams) {
  const day = (name: string) => Date.parse(query.get(name) ?? "");
  const filter: VideoFilter = {
    ...EVERYTHING,
    status: query.get("status") as VideoFilter["status"],
    q: query.get("q") ?? "",
    tags: (query.get("tags") ?? "").split(",").filter(Boolean),
    bin: query.get("bin"),
    rate: query.get("rate"),
    site: query.get("site"),
  };
  const sort = query.get("sort") ?? "-created_at";
  const items = db
    .videosBy(sort.replace("-", "") as "created_at" | "filename" | "duration")
    .filter((video: Video) => belongs(video, filter))
    .filter(
      ({ created_at }) => !(Date.parse(created_at) < day("from")) && !(Date.parse(created_at) >= day("to")),
    );
  return page(sort.startsWith("-") ? items.reverse() : items, query, 60);
}

function listJobs(db: Db, query: URLSearchParams) {
  const items = db
    .jobsByAge()
    .filter(({ video }) => !query.get("video") || video === query.get("video"))
    .filter(({ state }) => !query.get("state") || state === query.get("state"));
  return page(items, query, 100);
}

async function body(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return JSON.parse(text || "{}");
}

function page<T>(items: T[], query: URLSearchParams, fallback: number) {
  const from = Number(query.get("cursor") ?? 0);
  const limit = Number(query.get("limit") ?? fallback);
  const to = from + limit;
  return {
    items: items.slice(from, to),
    next_cursor: to < items.length ? String(to) : null,
    total: items.length,
  };
}

function media(path: string, query: URLSearchParams, request: IncomingMessage, response: ServerResponse) {
  const picture = drawn(path, query);
  if (picture) {
    const whole = Buffer.from(picture.body);
    const part = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    const bytes = part ? whole.subarray(Number(part[1]), Number(part[2]) + 1) : whole;
    response.writeHead(part ? 206 : 200, {
      "content-type": picture.type,
      "content-length": bytes.length,
      "cache-control": "public, max-age=3600",
    });
    response.end(bytes);
    return;
  }
  const [, , name = "", ...rest] = path.split("/");
  const folder = MEDIA.get(name);
  const file = join(folder ?? "", normalize(rest.join("/")));
  if (!folder || !file.startsWith(folder) || !existsSync(file) || !statSync(file).isFile()) {
    response.writeHead(404).end();
    return;
  }
  const size = statSync(file).size;
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const start = range ? Number(range[1]) : 0;
  const end = range?.[2] ? Math.min(Number(range[2]), size - 1) : size - 1;
  response.writeHead(range ? 206 : 200, {
    "content-type": TYPES[extname(file)] ?? "application/octet-stream",
    "content-length": end - start + 1,
    "cache-control": "public, max-age=3600",
    ...(range ? { "content-range": `bytes ${start}-${end}/${size}` } : {}),
  });
  createReadStream(file, { start, end }).pipe(response);
}
