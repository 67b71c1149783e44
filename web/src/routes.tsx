// The site map. The library comes with the first load, every other page when it is opened.

import { Component, lazy, Suspense, type ReactNode } from "react";
import { Shell } from "./components/Shell";
import { useDelay, usePageTitle } from "./lib/hooks";
import { Link, usePath } from "./lib/router";
import { Library } from "./pages/Library";
import { loadVideoPage } from "./pages/load";
import { SHELL } from "./strings/shell";
import { Notice } from "./ui/states";

const VideoPage = lazy(loadVideoPage);
const UploadPage = lazy(() => import("./pages/Upload"));
const JobsPage = lazy(() => import("./pages/Jobs"));
const NodesPage = lazy(() => import("./pages/Nodes"));

export function Site() {
  const path = usePath();
  return (
    <Shell>
      <PageBoundary key={path}>
        <Suspense fallback={<PageLoading />}>{pageFor(path)}</Suspense>
      </PageBoundary>
    </Shell>
  );
}

function pageFor(path: string): ReactNode {
  if (path === "/") return <Library />;
  if (path === "/upload") return <UploadPage />;
  if (path === "/jobs") return <JobsPage />;
  if (path === "/nodes") return <NodesPage />;
  const video = /^\/videos\/([^/]+)\/?$/.exec(path);
  if (video?.[1]) return <VideoPage key={video[1]} id={decodeURIComponent(video[1])} />;
  return <NotFound />;
}

function PageLoading() {
  return useDelay(300) ? <p className="page-loading">{SHELL.loading}</p> : null;
}

function NotFound() {
  const heading = usePageTitle(SHELL.notFound);
  return (
    <>
      <h1 ref={heading} tabIndex={-1} className="sr-only">
        {SHELL.notFound}
      </h1>
      <Notice icon="search" title={SHELL.notFoundTitle}>
        <p>{SHELL.notFoundWhy}</p>
        <Link className="button" to="/">
          {SHELL.toLibrary}
        </Link>
      </Notice>
    </>
  );
}

/** Catches a page that broke or could not be loaded, and offers another try. */
class PageBoundary extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state = { error: null as Error | null };

  static getDerivedStateFromError(error: unknown) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <Notice icon="alert" title={SHELL.broken} tone="bad">
        <p>{this.state.error.message}</p>
        <button className="button" type="button" onClick={() => location.reload()}>
          {SHELL.again}
        </button>
      </Notice>
    );
  }
}
