// Answers the API from the mock in Vite's dev and preview servers.

import type { Connect, Plugin } from "vite";
import { makeHandlers } from "./handlers.ts";

export function mockApi(): Plugin {
  const use = (middlewares: Connect.Server) => {
    const handle = makeHandlers();
    middlewares.use((request, response, next) => {
      handle(request, response).then((handled) => !handled && next(), next);
    });
  };
  return {
    name: "mock-api",
    configureServer: ({ middlewares }) => use(middlewares),
    configurePreviewServer: ({ middlewares }) => use(middlewares),
  };
}
