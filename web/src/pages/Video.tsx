// One video: it plays, what it is, what was and is done with it.

import "../styles/labels.css";
import "../styles/video.css";
import { lazy, Suspense, useEffect, useRef, useState, type RefObject } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { ApiError, deleteVideo } from "../api/client";
import { changeVideo } from "../api/events";
import { renameVideo } from "../api/notes";
import { useFacets } from "../api/useNotes";
import { useOffers, useVideo } from "../api/useVideo";
import { useJobs, useRetryJobs } from "../api/useWork";
import { originalUrl } from "../api/videos";
import type { AudioTrack, Job, Video } from "../api/types";
import { JobRow } from "../components/JobRow";
import { Poster } from "../components/Poster";
import { ProgressBar } from "../components/ProgressBar";
import { VideoChip } from "../components/StateChip";
import {
  ago,
  bytes,
  channels,
  clock,
  codec,
  count,
  durationSeconds,
  frameRate,
  grouped,
} from "../lib/format";
import { useDelay, useNow, usePageTitle } from "../lib/hooks";
import { removeSoon } from "../lib/removal";
import { Link, navigate } from "../lib/router";
import { Player, type PlayerHandle } from "../player/Player";
import { Markers } from "../player/Markers";
import { Subclips } from "../player/Subclips";
import { useEditor, type Editor } from "../player/useEditor";
import { say } from "../lib/toasts";
import { LIBRARY } from "../strings/library";
import { SHELL } from "../strings/shell";
import { FACTS as F, VIDEO } from "../strings/video";
import { Icon } from "../ui/Icon";
import { Failed, Notice } from "../ui/states";

const LabelDialog = lazy(() => import("../library/LabelDialog"));

export default function VideoPage({ id }: { id: string }) {
  const query = useVideo(id);
  const video = query.data;
  const heading = usePageTitle(video?.filename ?? VIDEO.title);
  // The player's engine is the largest part: have it on its way while the node answers.
  useEffect(() => void import("hls.js").catch(() => undefined), []);
  if (query.error instanceof ApiError && query.error.status === 404) {
    return (
      <Notice icon="search" title={VIDEO.gone}>
        <p>{VIDEO.goneWhy}</p>
        <Link className="button" to="/">
          {SHELL.toLibrary}
        </Link>
      </Notice>
    );
  }
  if (query.isError && !video) {
    return <Failed what={VIDEO.cannotShow} error={query.error} onRetry={() => void query.refetch()} />;
  }
  if (!video) return <VideoSkeleton />;
  return <VideoArticle video={video} heading={heading} />;
}

function VideoArticle({ video, heading }: { video: Video; heading: RefObject<HTMLHeadingElement | null> }) {
  const editor = useEditor(video);
  const player = useRef<PlayerHandle>(null);
  return (
    <article className="video">
      <Stage video={video} editor={editor} player={player} />
      <header className="video-head">
        <div>
          <Name video={video} heading={heading} />
          <p className="video-sub">
            <VideoChip video={video} />
            <Added time={video.created_at} />
          </p>
        </div>
        <Actions video={video} />
      </header>
      <Labels video={video} />
      {video.status === "rendering" && video.hls_url !== null && <RenderNote video={video} />}
      {video.status === "failed" && video.hls_url !== null && <FailureNote video={video} />}
      {video.remarks.length > 0 && (
        <ul className="remarks" aria-label={VIDEO.remarks}>
          {video.remarks.map((remark) => (
            <li key={remark}>
              <Icon name="info" />
              {remark}
            </li>
          ))}
        </ul>
      )}
      {video.hls_url !== null && video.duration_frames !== null && (
        <Subclips
          video={video}
          editor={editor}
          onPlay={(clip) => {
            editor.choose(clip);
            player.current?.loop({ in: clip.in_frame, out: clip.out_frame });
          }}
        />
      )}
      {editor.marking && video.hls_url !== null && video.duration_frames !== null && (
        <Markers
          video={video.id}
          markers={editor.markers}
          onGo={(marker) => player.current?.show(marker.in_frame)}
        />
      )}
      <div className="video-columns">
        <Facts video={video} />
        <Work video={video} />
      </div>
    </article>
  );
}

/** The name, which is changed in place. */
function Name({ video, heading }: { video: Video; heading: RefObject<HTMLHeadingElement | null> }) {
  const client = useQueryClient();
  const [editing, setEditing] = useState(false);
  const [text, setText] = useState("");
  const edit = () => {
    setText(video.filename);
    setEditing(true);
  };
  const done = async () => {
    // Enter, and then the field going, would do it twice.
    if (!editing) return;
    setEditing(false);
    const [old, filename] = [video.filename, text.trim()];
    if (!filename || filename === old) return;
    changeVideo(client, video.id, (known) => ({ ...known, filename }));
    try {
      await renameVideo(video.id, filename);
    } catch (error) {
      changeVideo(client, video.id, (known) => ({ ...known, filename: old }));
      say(error instanceof Error ? error.message : String(error), { tone: "bad" });
    }
  };
  return (
    <div className="video-name">
      <h1 ref={heading} tabIndex={-1} onDoubleClick={edit} className={editing ? "sr-only" : ""}>
        {video.filename}
      </h1>
      {editing ? (
        <input
          className="video-name-field"
          aria-label={VIDEO.name}
          value={text}
          autoFocus
          maxLength={255}
          spellCheck={false}
          autoComplete="off"
          onFocus={(event) => {
            // What is before the ending is what one wants to change.
            const end = event.currentTarget.value.lastIndexOf(".");
            event.currentTarget.setSelectionRange(0, end > 0 ? end : event.currentTarget.value.length);
          }}
          onChange={(event) => setText(event.target.value)}
          onBlur={() => void done()}
          onKeyDown={(event) => {
            event.stopPropagation();
            if (event.key === "Enter") void done();
            if (event.key === "Escape") setEditing(false);
          }}
        />
      ) : (
        <button
          className="icon-button"
          type="button"
          aria-label={VIDEO.rename}
          title={VIDEO.rename}
          onClick={edit}
        >
          <Icon name="pencil" />
        </button>
      )}
    </div>
  );
}

/** Its tags and bins, each a way to what else has them. */
function Labels({ video }: { video: Video }) {
  const offers = useOffers();
  const [open, setOpen] = useState(false);
  const bins = useFacets(offers?.labels ?? false).data?.bins ?? [];
  if (!offers?.labels) return <div className="video-labels" />;
  return (
    <div className="video-labels">
      {bins
        .filter(({ id }) => video.bins.includes(id))
        .map(({ id, name }) => (
          <Link key={id} className="label" to={`/?bin=${encodeURIComponent(id)}`}>
            <Icon name="film" />
            {name}
          </Link>
        ))}
      {video.tags.map((tag) => (
        <Link key={tag} className="label" to={`/?tag=${encodeURIComponent(tag)}`}>
          <Icon name="tag" />
          {tag}
        </Link>
      ))}
      <button className="button button-small button-quiet" type="button" onClick={() => setOpen(true)}>
        <Icon name="plus" />
        {VIDEO.labels}
      </button>
      {open && (
        <Suspense fallback={null}>
          <LabelDialog videos={[video]} onClose={() => setOpen(false)} />
        </Suspense>
      )}
    </div>
  );
}

function Added({ time }: { time: string }) {
  const now = useNow(30_000);
  return (
    <span className="hint">
      {VIDEO.added}{" "}
      <time dateTime={time} title={new Date(time).toLocaleString()}>
        {ago(time, now)}
      </time>
    </span>
  );
}

interface StageProps {
  video: Video;
  editor: Editor;
  player: RefObject<PlayerHandle | null>;
}

/** The player, or what stands in its place until there is something to play. */
function Stage({ video, editor, player }: StageProps) {
  const { hls_url, duration_frames, frame_rate, width, height } = video;
  if (hls_url !== null && duration_frames !== null && frame_rate !== null) {
    return (
      <Player
        ref={player}
        editor={editor}
        url={hls_url}
        title={video.filename}
        frames={duration_frames}
        rate={frame_rate}
        startTimecode={video.start_timecode}
        width={width ?? 16}
        height={height ?? 9}
        poster={video.thumbnails.at(-1)?.url ?? null}
        hasAudio={video.audio_tracks.length > 0}
        renditions={video.renditions}
        spritesUrl={video.sprites_url}
        peaksUrl={video.peaks_url}
        growing={video.status === "rendering"}
        privateId={video.private ? video.id : null}
      />
    );
  }
  return (
    <div
      className={video.thumbnails.length > 0 ? "stage-wait surround" : "stage-wait stage-wait-bare surround"}
      style={{ "--ratio": `${width ?? 16} / ${height ?? 9}` } as React.CSSProperties}
    >
      <div className="stage-wait-picture">
        <Poster video={video} sizes="(max-width: 1200px) 100vw, 1160px" eager />
      </div>
      {video.status === "failed" ? <FailureNote video={video} /> : <WaitNote video={video} />}
    </div>
  );
}

function WaitNote({ video }: { video: Video }) {
  const { uploading, probing, rendering } = VIDEO.waits;
  const words = video.status === "uploading" ? uploading : video.status === "probing" ? probing : rendering;
  return (
    <div className="stage-note" role="status">
      <VideoChip video={video} />
      <p>{words}</p>
      {video.status !== "probing" && (
        <ProgressBar permille={video.progress_permille} label={VIDEO.progress} />
      )}
    </div>
  );
}

function RenderNote({ video }: { video: Video }) {
  return (
    <div className="render-note" role="status">
      <ProgressBar permille={video.progress_permille} label={VIDEO.rendered} />
      <p className="hint">{VIDEO.stillRendering}</p>
    </div>
  );
}

function FailureNote({ video }: { video: Video }) {
  const jobs = useJobs({ video: video.id });
  const retry = useRetryJobs();
  const failed = (jobs.data?.pages.flatMap((page) => page.items) ?? []).filter(
    ({ state }) => state === "failed",
  );
  const { error } = video;
  return (
    <div className="stage-note stage-note-bad" role="alert">
      <Icon name="alert" />
      <p className="stage-note-title">{error?.message ?? VIDEO.notRendered}</p>
      {error?.detail && (
        <details>
          <summary>{VIDEO.machine}</summary>
          <pre tabIndex={0}>{error.detail}</pre>
        </details>
      )}
      {error?.retryable ? (
        <button
          className="button"
          type="button"
          disabled={failed.length === 0 || retry.isPending}
          onClick={() => retry.mutate(failed.map(({ id }) => id))}
        >
          <Icon name="retry" />
          {retry.isPending ? VIDEO.asking : VIDEO.again}
        </button>
      ) : (
        <p className="hint">{VIDEO.sameAnswer}</p>
      )}
      {retry.isError && <p className="bad">{retry.error.message}</p>}
    </div>
  );
}

function Actions({ video }: { video: Video }) {
  const remove = () => {
    removeSoon({
      ids: [video.id],
      send: deleteVideo,
      text: LIBRARY.deleted(1, video.filename),
      undo: SHELL.undo,
      failed: LIBRARY.keepFailed,
      onUndo: () => navigate(`/videos/${video.id}`),
    });
    navigate("/");
  };
  return (
    <div className="video-actions">
      {video.blake3 !== null && (
        <a className="button" href={originalUrl(video.id)} download={video.filename}>
          <Icon name="download" />
          {VIDEO.original}
          <span className="hint numeric">{bytes(video.size_bytes)}</span>
        </a>
      )}
      <button className="button button-quiet" type="button" onClick={remove}>
        <Icon name="trash" />
        {VIDEO.delete}
      </button>
    </div>
  );
}

function Facts({ video }: { video: Video }) {
  const { frame_rate: rate, duration_frames: frames } = video;
  const facts: [string, React.ReactNode][] = [];
  if (video.width !== null && video.height !== null)
    facts.push([F.picture, `${video.width} × ${video.height}`]);
  if (rate)
    facts.push([F.rate, `${frameRate(rate)} fps${rate.den === 1 ? "" : ` (${rate.num}/${rate.den})`}`]);
  if (rate && frames !== null) {
    facts.push([F.length, `${clock(durationSeconds(frames, rate))} · ${count(frames, "frame")}`]);
  }
  if (video.start_timecode !== null) facts.push([F.start, video.start_timecode]);
  if (video.video_codec !== null) {
    facts.push([F.format, [codec(video.video_codec), video.container].filter(Boolean).join(" in ")]);
  }
  if (video.width !== null) {
    const tracks = video.audio_tracks;
    facts.push([
      F.sound,
      tracks.length === 0 ? F.none : tracks.map((track, index) => <div key={index}>{audioFact(track)}</div>),
    ]);
  }
  facts.push([F.size, `${bytes(video.size_bytes)} · ${grouped(video.size_bytes)} bytes`]);
  if (video.renditions.length > 0) {
    facts.push([
      F.renditions,
      <ul className="plain" key="renditions">
        {video.renditions.map(({ name, resolution, video_kbps }) => (
          <li key={name}>
            {name}
            <span className="hint">
              {" "}
              {resolution.width} × {resolution.height}, {rateOf(video_kbps)}
            </span>
          </li>
        ))}
      </ul>,
    ]);
  }
  if ((video.copies ?? []).length > 0) {
    facts.push([
      F.copies,
      video.copies.map(({ node, site }) => (
        <div key={node}>
          {node} <span className="hint">{F.at(site)}</span>
        </div>
      )),
    ]);
  }
  if (video.blake3 !== null) facts.push(["BLAKE3", <Hash key="hash" hash={video.blake3} />]);
  return (
    <section className="facts" aria-labelledby="facts-title">
      <h2 id="facts-title">{F.title}</h2>
      <dl className="numeric">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function rateOf(kbps: number): string {
  return kbps >= 1000 ? `${(kbps / 1000).toFixed(1)} Mbit/s` : `${kbps} kbit/s`;
}

function audioFact({ codec: name, channels: number, sample_rate, language }: AudioTrack): string {
  return [codec(name), channels(number), `${sample_rate / 1000} kHz`, language].filter(Boolean).join(", ");
}

function Hash({ hash }: { hash: string }) {
  const [copied, setCopied] = useState(false);
  return (
    <button
      className="hash"
      type="button"
      title={VIDEO.copy}
      onClick={() => void navigator.clipboard?.writeText(hash).then(() => setCopied(true))}
    >
      <code>{hash}</code>
      <span className="hint" role="status">
        {copied ? VIDEO.copied : ""}
      </span>
    </button>
  );
}

function Work({ video }: { video: Video }) {
  const query = useJobs({ video: video.id });
  const jobs = query.data?.pages.flatMap((page) => page.items) ?? [];
  const total = query.data?.pages.at(-1)?.total ?? jobs.length;
  if (jobs.length === 0) return null;
  const settled = jobs.filter(({ state }) => state === "done");
  const open = jobs.filter(({ state }) => state !== "done");
  return (
    <section className="work" aria-labelledby="work-title">
      <h2 id="work-title">
        {VIDEO.work}
        <Link className="hint numeric" to={`/jobs?video=${video.id}`}>
          {query.hasNextPage ? VIDEO.steps(total) : VIDEO.done(settled.length, total)}
        </Link>
      </h2>
      {open.length > 0 && <JobList jobs={open} />}
      {settled.length > 0 && (
        <details open={open.length === 0 && settled.length <= 6}>
          <summary>{VIDEO.finished(settled.length)}</summary>
          <JobList jobs={settled} />
        </details>
      )}
      {query.hasNextPage && (
        <button
          className="button button-small more"
          type="button"
          disabled={query.isFetchingNextPage}
          onClick={() => void query.fetchNextPage()}
        >
          {VIDEO.more}
        </button>
      )}
    </section>
  );
}

function JobList({ jobs }: { jobs: Job[] }) {
  return (
    <ul className="jobs">
      {jobs.map((job) => (
        <JobRow key={job.id} job={job} />
      ))}
    </ul>
  );
}

function VideoSkeleton() {
  const shown = useDelay(150);
  return (
    <div className={shown ? "video-skeleton" : "video-skeleton grid-hidden"}>
      <p className="sr-only" role="status">
        {VIDEO.loading}
      </p>
      <span className="video-skeleton-stage" />
      <span className="video-skeleton-title" />
      <span className="video-skeleton-line" />
    </div>
  );
}
