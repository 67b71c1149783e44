// The frame around every page: skip link, navigation, what the connection and the uploads are doing, notices.

import { lazy, Suspense, useEffect, useState, type ReactNode } from "react";
import { useConnection } from "../api/events";
import { percent } from "../lib/format";
import { Link, usePath } from "../lib/router";
import { actOnLatest } from "../lib/toasts";
import { SHELL } from "../strings/shell";
import { Icon } from "../ui/Icon";
import { Toasts } from "../ui/Toasts";
import { useUploadSummary } from "../upload/summary";
import { PageDrop } from "../upload/PageDrop";

const loadPalette = () => import("../palette/Palette");
const Palette = lazy(loadPalette);
/** Once the page is there, the palette comes too, so that no letter typed after Ctrl K is lost. */
const PALETTE_AFTER_MS = 3000;

const PLACES = [
  ["/", SHELL.places.library],
  ["/jobs", SHELL.places.jobs],
  ["/nodes", SHELL.places.nodes],
] as const;

export function Shell({ children }: { children: ReactNode }) {
  const path = usePath();
  const [finding, setFinding] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => void loadPalette().catch(() => undefined), PALETTE_AFTER_MS);
    return () => clearTimeout(timer);
  }, []);
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey) {
        event.preventDefault();
        setFinding((open) => !open);
        return;
      }
      const field = (event.target as HTMLElement).closest("input:not([type=checkbox]), textarea, select");
      if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.shiftKey || field) return;
      if (actOnLatest()) event.preventDefault();
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
  return (
    <div className="shell">
      <a className="skip" href="#main">
        {SHELL.skip}
      </a>
      <header className="topbar">
        <div className="topbar-inner">
          <Link className="brand" to="/" aria-label={SHELL.home}>
            <svg viewBox="0 0 32 32" aria-hidden="true">
              <path className="brand-frame" d="M7 10.5 16 6l9 4.5v11L16 26l-9-4.5z" />
              <path className="brand-play" d="m13.5 12 6.5 4-6.5 4z" />
            </svg>
            <span>Reelmesh</span>
          </Link>
          <nav aria-label={SHELL.main}>
            {PLACES.map(([to, name]) => (
              <Link key={to} to={to} aria-current={isAt(path, to) ? "page" : undefined}>
                {name}
              </Link>
            ))}
          </nav>
          <span className="topbar-space" />
          <ConnectionNote />
          <button
            className="find"
            type="button"
            aria-keyshortcuts="Control+K Meta+K"
            onClick={() => setFinding(true)}
          >
            <Icon name="search" />
            <span>{SHELL.find}</span>
            <kbd aria-hidden="true">{SHELL.findKey}</kbd>
          </button>
          <UploadButton />
        </div>
      </header>
      <main id="main" className="main" tabIndex={-1}>
        {children}
      </main>
      <PageDrop />
      <LineNote />
      {finding && (
        <Suspense fallback={null}>
          <Palette onClose={() => setFinding(false)} />
        </Suspense>
      )}
      <Toasts />
    </div>
  );
}

function isAt(path: string, place: string): boolean {
  return place === "/" ? path === "/" || path.startsWith("/videos/") : path.startsWith(place);
}

/** Says quietly that what is shown may be a few seconds old. Waits a little, so that a blink is not news. */
function ConnectionNote() {
  const lost = useConnection() === "lost";
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setShown(lost), lost ? 1500 : 0);
    return () => clearTimeout(timer);
  }, [lost]);
  return (
    <span className="connection" role="status">
      {shown && (
        <>
          <Icon name="retry" />
          <span>{SHELL.reconnecting}</span>
        </>
      )}
    </span>
  );
}

/** A break that lasts is said in words; it lies over the page, so that nothing moves. */
function LineNote() {
  const lost = useConnection() === "lost";
  const [shown, setShown] = useState(false);
  const [offline, setOffline] = useState(() => !navigator.onLine);
  useEffect(() => {
    const read = () => setOffline(!navigator.onLine);
    addEventListener("online", read);
    addEventListener("offline", read);
    return () => {
      removeEventListener("online", read);
      removeEventListener("offline", read);
    };
  }, []);
  useEffect(() => {
    const timer = setTimeout(() => setShown(lost), lost ? 6000 : 0);
    return () => clearTimeout(timer);
  }, [lost]);
  return (
    <div className="line-note" role="status">
      {(offline || shown) && (
        <p>
          <Icon name="alert" />
          {offline ? SHELL.offline : SHELL.lost}
        </p>
      )}
    </div>
  );
}

function UploadButton() {
  const { active, permille } = useUploadSummary();
  return (
    <Link className="button button-primary" to="/upload" aria-label={active > 0 ? undefined : SHELL.upload}>
      <Icon name="upload" />
      {active > 0 ? (
        <span className="numeric">
          <span className="button-word">{SHELL.uploading} </span>
          {percent(permille)}
        </span>
      ) : (
        <span className="button-word">{SHELL.upload}</span>
      )}
    </Link>
  );
}
