// Pages that are fetched when needed, or a moment before.

export const loadVideoPage = () => import("./Video");
