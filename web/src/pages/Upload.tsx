// The upload page: choose or drop files, and follow each until its video is there.

import "../styles/upload.css";
import { useEffect, useRef, useState } from "react";
import { useVideo } from "../api/useVideo";
import { ProgressBar } from "../components/ProgressBar";
import { VideoChip } from "../components/StateChip";
import { byteRate, bytes, percent, span } from "../lib/format";
import { useNow, usePageTitle } from "../lib/hooks";
import { Link } from "../lib/router";
import { UPLOAD } from "../strings/upload";
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
import { FILES_MAX, isWanted } from "../upload/folders";
import { isUnderWay, isWhole, permille, rate, secondsLeft, type Session } from "../upload/session";

export default function Upload() {
  const heading = usePageTitle(UPLOAD.title);
  const { sessions, unfinished } = useQueue();
  useEffect(() => {
    void findUnfinished();
  }, []);
  const under = sessions.filter(isUnderWay).length;
  return (
    <section className="upload">
      <h1 ref={heading} tabIndex={-1}>
        {UPLOAD.title}
      </h1>
      <DropZone />
      {unfinished.length > 0 && (
        <div className="upload-list">
          <h2>{UPLOAD.unfinished}</h2>
          <p className="hint">{UPLOAD.unfinishedHow}</p>
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
            <h2>{under > 0 ? UPLOAD.under(under, sessions.length) : UPLOAD.uploads}</h2>
            {sessions.some(({ phase }) => phase === "done") && (
              <button className="link" type="button" onClick={clearDone}>
                {UPLOAD.clear}
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
  const folder = useRef<HTMLInputElement>(null);
  return (
    <div className="drop-zone">
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
        <span className="drop-title">{UPLOAD.drop}</span>
        <span className="hint">{UPLOAD.dropNote}</span>
        <span className="button button-primary" aria-hidden="true">
          {UPLOAD.choose}
        </span>
      </label>
      <button className="button button-quiet" type="button" onClick={() => folder.current?.click()}>
        {UPLOAD.chooseFolder}
      </button>
      <input
        ref={(input) => {
          folder.current = input;
          input?.setAttribute("webkitdirectory", "");
        }}
        className="sr-only"
        type="file"
        multiple
        tabIndex={-1}
        aria-hidden="true"
        data-testid="folder-picker"
        onChange={(event) => {
          addFiles([...(event.target.files ?? [])].filter(({ name }) => isWanted(name)).slice(0, FILES_MAX));
          event.target.value = "";
        }}
      />
    </div>
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
      <ProgressBar permille={done} tone="idle" label={UPLOAD.sentSoFar(filename)} />
      <div className="upload-foot">
        <span className={wrong ? "bad" : "hint"} role="status">
          {wrong
            ? UPLOAD.wrong(filename, bytes(sizeBytes))
            : offsetBytes === null
              ? UPLOAD.asking
              : UPLOAD.safe(percent(done))}
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
            {UPLOAD.chooseAgain}
          </label>
          <button
            className="button button-small button-quiet"
            type="button"
            onClick={() => void discard(unfinished)}
          >
            {UPLOAD.discard}
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
      <ProgressBar permille={permille(session)} tone={tone} label={UPLOAD.sent(filename)} />
      <div className="upload-foot">
        {phase === "done" ? <DoneLine session={session} /> : <StateLine session={session} />}
        <span className="upload-actions">
          {(phase === "sending" || phase === "queued" || phase === "waiting") && (
            <button
              className="icon-button"
              type="button"
              onClick={() => pause(key)}
              aria-label={UPLOAD.pause(filename)}
            >
              <Icon name="pause" />
            </button>
          )}
          {(phase === "paused" || phase === "failed" || phase === "waiting") && (
            <button
              className="icon-button"
              type="button"
              onClick={() => resume(key)}
              aria-label={phase === "paused" ? UPLOAD.goOn(filename) : UPLOAD.again(filename)}
            >
              <Icon name={phase === "paused" ? "play" : "retry"} />
            </button>
          )}
          <button
            className="icon-button"
            type="button"
            onClick={() => remove(key)}
            aria-label={phase === "done" ? UPLOAD.take(filename) : UPLOAD.cancel(filename)}
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
  const sent = UPLOAD.of(bytes(session.sentBytes), bytes(session.sizeBytes));
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
        {session.problem} {seconds > 0 ? UPLOAD.nextTry(seconds) : UPLOAD.trying}
      </span>
    );
  }
  if (phase === "queued") return <span className="hint">{UPLOAD.queued}</span>;
  if (phase === "paused") return <span className="hint numeric">{UPLOAD.pausedAt(sent)}</span>;
  if (isWhole(session)) return <span className="hint">{UPLOAD.checking}</span>;
  const perSecond = rate(session);
  const left = secondsLeft(session);
  return (
    <span className="hint numeric">
      {percent(permille(session))} · {sent}
      {perSecond !== null && ` · ${byteRate(perSecond)}`}
      {left !== null && ` · ${UPLOAD.left(span(left))}`}
    </span>
  );
}

function DoneLine({ session }: { session: Session }) {
  return session.videoId ? (
    <VideoLine id={session.videoId} />
  ) : (
    <span className="hint">
      {UPLOAD.done} <Link to="/">{UPLOAD.library}</Link>
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
        {video?.status === "failed" ? UPLOAD.why : video?.hls_url ? UPLOAD.watch : UPLOAD.open}
      </Link>
    </span>
  );
}
