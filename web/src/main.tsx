// Mounts the site: the query cache, the event stream, the pages.

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { followEvents } from "./api/events";
import { askAgain, retryUnlessRefused } from "./api/queries";
import { Site } from "./routes";

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // Events keep the cache true; a page that is opened again asks once more if they may have been missed.
      staleTime: 15_000,
      refetchOnMount: askAgain,
      refetchOnWindowFocus: askAgain,
      retry: retryUnlessRefused,
      retryDelay: (attempt) => Math.min(5000, 500 * 2 ** attempt),
    },
  },
});

// A page of an older build asks for a chunk that the node no longer has: load the new build, once.
addEventListener("vite:preloadError", (event) => {
  if (sessionStorage.getItem("reloaded-for-chunk") === location.pathname) return;
  sessionStorage.setItem("reloaded-for-chunk", location.pathname);
  event.preventDefault();
  location.reload();
});

const root = document.getElementById("root");
if (root) {
  root.textContent = "";
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <Site />
      </QueryClientProvider>
    </StrictMode>,
  );
  followEvents(client);
}
