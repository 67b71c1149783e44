// Serves the built page over the mock API on a free port of loopback, in this process.

import { preview } from "vite";

/** `environment`: the mock's settings, such as `MOCK_VIDEOS`. */
export async function serveMock(environment = {}) {
  Object.assign(process.env, environment);
  const server = await preview({
    root: new URL("..", import.meta.url).pathname,
    logLevel: "warn",
    preview: { host: "127.0.0.1", port: 0, strictPort: false, open: false },
  });
  const { port } = server.httpServer.address();
  return { url: `http://127.0.0.1:${port}`, close: () => server.close() };
}
