// The upload page: choose or drop files, and follow each until its video is there.

import "../styles/upload.css";
import { useEffect, useRef, useState } from "react";
import { useVideo } from "../api/useVideo";
import { ProgressBar } from "../components/ProgressBar";
import { VideoChip } from "../components/StateChip";
import { byteRate, bytes, percent, span } from "../lib/format";
import { useNow, usePageTitle } from "../lib/hooks";
import { Link } from "../lib/router";
import { Icon } from "../ui/Icon";
import {
  addFiles,
  clearDone,
  discard,
  findUnfinished,
  pause,
  remove,
  resume,
  resumeWith,
  useQueue,
  type Unfinished,
} from "../upload/queue";
import { isUnderWay, isWhole, permille, rate, secondsLeft, type Session } from "../upload/session";

export default function Upload() {
  const heading = usePageTitle("Upload");
  const { sessions, unfinished } = useQueue();
  useEffect(() => {
    void findUnfinished();
  }, []);
  const under = sessions.filter(isUnderWay).length;
  return (
    <section className="upload">
      <h1 ref={heading} tabIndex={-1}>
        Upload
      </h1>
      <DropZone />
      {unfinished.length > 0 && (
        <div className="upload-list">
          <h2>Left unfinished</h2>
          <p className="hint">Choose the same file again and it goes on from where it stopped.</p>
          <ul>
            {unfinished.map((each) => (
              <UnfinishedRow key={each.key} unfinished={each} />
            ))}
          </ul>
        </div>
      )}
      {sessions.length > 0 && (
        <div className="upload-list">
          <div className="upload-list-head">
            <h2>{under > 0 ? `Uploading ${under} of ${sessions.length}` : "Uploads"}</h2>
            {sessions.some(({ phase }) => phase === "done") && (
              <button className="link" type="button" onClick={clearDone}>
                Clear finished
              </button>
            )}
          </div>
          <ul>
            {sessions.map((session) => (
              <SessionRow key={session.key} session={session} />
            ))}
          </ul>
        </div>
      )}
    </section>
  );
}

function DropZone() {
  const picker = useRef<HTMLInputElement>(null);
  return (
    <label className="drop">
      <input
        ref={picker}
        className="sr-only"
        type="file"
        multiple
        data-testid="file-picker"
        onChange={(event) => {
          addFiles(event.target.files ?? []);
          event.target.value = "";
        }}
      />
      <Icon name="upload" />
      <span className="drop-title">Drop videos here, or choose files</span>
      <span className="hint">
        MP4, MOV, MXF, MKV, WebM, TS, AVI. The original is kept untouched; a break in the line or a closed tab
        costs nothing.
      </span>
      <span className="button button-primary" aria-hidden="true">
        Choose files
      </span>
    </label>
  );
}

function UnfinishedRow({ unfinished }: { unfinished: Unfinished }) {
  const [wrong, setWrong] = useState(false);
  const { filename, sizeBytes, offsetBytes } = unfinished;
  const done = sizeBytes > 0 ? Math.floor(((offsetBytes ?? 0) * 1000) / sizeBytes) : 0;
  return (
    <li className="upload-row">
      <div className="upload-name">
        <span>{filename}</span>
        <span className="hint numeric">{bytes(sizeBytes)}</span>
      </div>
      <ProgressBar permille={done} tone="idle" label={`${filename}, sent so far`} />
      <div className="upload-foot">
        <span className={wrong ? "bad" : "hint"} role="status">
          {wrong
            ? `That is another file: choose ${filename} of ${bytes(sizeBytes)}, as it was.`
            : offsetBytes === null
              ? "Asking the node how far it is"
              : `${percent(done)} is safe on the node`}
        </span>
        <span className="upload-actions">
          <label className="button button-small">
            <input
              className="sr-only"
              type="file"
              onChange={(event) => {
                const [file] = event.target.files ?? [];
                event.target.value = "";
                if (file) void resumeWith(unfinished, file).then((same) => setWrong(!same));
              }}
            />
            Choose the file again
          </label>
          <button
            className="button button-small button-quiet"
            type="button"
            onClick={() => void discard(unfinished)}
          >
            Discard
          </button>
        </span>
      </div>
    </li>
  );
}

function SessionRow({ session }: { session: Session }) {
  const { key, phase, filename, sizeBytes } = session;
  const tone = phase === "done" ? "good" : phase === "failed" ? "bad" : phase === "sending" ? "busy" : "idle";
  return (
    <li className="upload-row" data-phase={phase} data-video={session.videoId ?? undefined}>
      <div className="upload-name">
        {session.videoId ? (
          <Link to={`/videos/${session.videoId}`}>{filename}</Link>
        ) : (
          <span>{filename}</span>
        )}
        <span className="hint numeric">{bytes(sizeBytes)}</span>
      </div>
      <ProgressBar permille={permille(session)} tone={tone} label={`${filename}, sent`} />
      <div className="upload-foot">
        {phase === "done" ? <DoneLine session={session} /> : <StateLine session={session} />}
        <span className="upload-actions">
          {(phase === "sending" || phase === "queued" || phase === "waiting") && (
            <button
              className="icon-button"
              type="button"
              onClick={() => pause(key)}
              aria-label={`Pause ${filename}`}
            >
              <Icon name="pause" />
            </button>
          )}
          {(phase === "paused" || phase === "failed" || phase === "waiting") && (
            <button
              className="icon-button"
              type="button"
              onClick={() => resume(key)}
              aria-label={`${phase === "paused" ? "Go on with" : "Try again"} ${filename}`}
            >
              <Icon name={phase === "paused" ? "play" : "retry"} />
            </button>
          )}
          <button
            className="icon-button"
            type="button"
            onClick={() => remove(key)}
            aria-label={`${phase === "done" ? "Take from the list" : "Cancel"} ${filename}`}
          >
            <Icon name="cancel" />
          </button>
        </span>
      </div>
    </li>
  );
}

function StateLine({ session }: { session: Session }) {
  const now = useNow(1000);
  const { phase } = session;
  const sent = `${bytes(session.sentBytes)} of ${bytes(session.sizeBytes)}`;
  if (phase === "failed") {
    return (
      <span className="bad" role="alert">
        {session.problem}
      </span>
    );
  }
  if (phase === "waiting") {
    const seconds = Math.max(0, Math.ceil(((session.retryAtMs ?? now) - now) / 1000));
    return (
      <span className="warn numeric" role="status">
        {session.problem} {seconds > 0 ? `Next try in ${seconds} s.` : "Trying again."}
      </span>
    );
  }
  if (phase === "queued") return <span className="hint">Waits for its turn</span>;
  if (phase === "paused") return <span className="hint numeric">Paused at {sent}</span>;
  if (isWhole(session)) return <span className="hint">Sent. The node is checking it.</span>;
  const perSecond = rate(session);
  const left = secondsLeft(session);
  return (
    <span className="hint numeric">
      {percent(permille(session))} · {sent}
      {perSecond !== null && ` · ${byteRate(perSecond)}`}
      {left !== null && ` · ${span(left)} left`}
    </span>
  );
}

function DoneLine({ session }: { session: Session }) {
  return session.videoId ? (
    <VideoLine id={session.videoId} />
  ) : (
    <span className="hint">
      Uploaded. It is in the <Link to="/">library</Link>.
    </span>
  );
}

/** What became of the upload, live. */
function VideoLine({ id }: { id: string }) {
  const { data: video } = useVideo(id);
  return (
    <span className="upload-done">
      {video && <VideoChip video={video} />}
      <Link to={`/videos/${id}`} data-testid="open-video">
        {video?.status === "failed" ? "See why" : video?.hls_url ? "Watch it" : "Open its page"}
      </Link>
    </span>
  );
}
