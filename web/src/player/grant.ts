// Private playback: the path under which a video plays for a while, renewed while it plays.

import { part, request } from "../api/client";
import type { components } from "../api/generated";

export type Grant = components["schemas"]["Grant"];

/** Sooner than this is not asked again, whatever a clock that runs ahead says. */
const RENEW_MIN_MS = 10_000;
/** After a failure. */
const RETRY_MS = 15_000;

export const askGrant = (video: string) => request<Grant>("POST", `/videos/${part(video)}/grant`);

/** `url` of a video, plain or under an older grant, under the grant that `prefix` is of. */
export function underGrant(url: string, prefix: string): string {
  const found = /^(?:https?:\/\/[^/]+)?(?:\/[^?#]*?)??\/hls\/(?:s\/[^/]+\/)?(.+)$/.exec(url);
  return found ? `${prefix}${found[1]}` : url;
}

/** Keeps a grant alive until it is stopped. `current` is what requests go under. */
export class Granted {
  private prefix: string;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private stopped = false;

  constructor(
    private readonly video: string,
    grant: Grant,
  ) {
    this.prefix = grant.prefix;
    this.plan(Date.parse(grant.renew_at) - Date.now());
  }

  url(url: string): string {
    return underGrant(url, this.prefix);
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private plan(ms: number) {
    // The longest wait that a timer takes is 24 days; a grant lasts a week at most.
    this.timer = setTimeout(() => void this.renew(), Math.max(ms, RENEW_MIN_MS));
  }

  private async renew() {
    let wait = RETRY_MS;
    try {
      const grant = await askGrant(this.video);
      this.prefix = grant.prefix;
      wait = Date.parse(grant.renew_at) - Date.now();
    } catch {
      // What there is still plays for as long again.
    }
    if (!this.stopped) this.plan(wait);
  }
}
