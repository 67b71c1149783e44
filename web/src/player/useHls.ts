// Attaches HLS to a video element: hls.js where the browser has media source extensions, else the browser's own.

import { useCallback, useEffect, useRef, useState, type RefObject } from "react";
import type Hls from "hls.js";
import type { Rendition } from "../api/types";
import { PLAYER, PROBLEMS } from "../strings/player";
import { askGrant, Granted } from "./grant";

export interface Level {
  index: number;
  /** Such as `720p`. */
  name: string;
  height: number;
}

/** A sound track of the stream. */
export interface Sound {
  index: number;
  name: string;
}

export interface Stream {
  levels: readonly Level[];
  /** The level on screen. */
  active: number | null;
  /** The level a person chose, `null` for automatic. */
  chosen: number | null;
  choose: (level: number | null) => void;
  /** More than one only where the video has several. */
  sounds: readonly Sound[];
  sound: number;
  chooseSound: (index: number) => void;
  /** A sentence, when it does not play. */
  problem: string | null;
  again: () => void;
}

/** How often a broken connection is tried again before a person is asked. */
const NETWORK_TRIES = 5;

export function useHls(
  video: RefObject<HTMLVideoElement | null>,
  url: string,
  renditions: readonly Rendition[],
  /** The id of a video that plays only under a grant. */
  privateId: string | null,
): Stream {
  const [levels, setLevels] = useState<readonly Level[]>([]);
  const [active, setActive] = useState<number | null>(null);
  const [chosen, setChosen] = useState<number | null>(null);
  const [sounds, setSounds] = useState<readonly Sound[]>([]);
  const [sound, setSound] = useState(0);
  const [problem, setProblem] = useState<string | null>(null);
  const [attempt, setAttempt] = useState(0);
  const engine = useRef<Hls | null>(null);
  const known = useRef(renditions);
  useEffect(() => {
    known.current = renditions;
  });

  useEffect(() => {
    const element = video.current;
    if (!element) return;
    let stopped = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let hls: Hls | null = null;
    let granted: Granted | null = null;
    // A new address of the same video goes on where the old one was.
    const position = element.currentTime;

    const opened = privateId === null ? null : askGrant(privateId);
    opened?.catch(() => undefined);
    void Promise.all([import("hls.js"), opened]).then(
      ([{ default: Engine }, grant]) => {
        if (stopped) return;
        if (privateId !== null && grant) granted = new Granted(privateId, grant);
        const under = (plain: string) => granted?.url(plain) ?? plain;
        if (!Engine.isSupported()) {
          if (element.canPlayType("application/vnd.apple.mpegurl")) element.src = under(url);
          else setProblem(PROBLEMS.noHls);
          return;
        }
        // An open playlist would otherwise start at its live edge.
        hls = new Engine({
          startPosition: position > 0 ? position : 0,
          capLevelToPlayerSize: true,
          backBufferLength: 60,
          // Playlists name what they list under the grant that they were read with; it may be renewed.
          ...(granted && { xhrSetup: (xhr, plain) => xhr.open("GET", under(plain), true) }),
        });
        engine.current = hls;
        let networkFailures = 0;
        let mediaFailures = 0;
        hls.on(Engine.Events.MANIFEST_PARSED, (_event, data) => {
          setProblem(null);
          setLevels(
            data.levels.map(({ width, height, bitrate }, index) => ({
              index,
              height,
              name: nameOf(width, height, bitrate, known.current),
            })),
          );
        });
        hls.on(Engine.Events.AUDIO_TRACKS_UPDATED, (_event, data) => {
          setSounds(
            data.audioTracks.map(({ name, lang }, index) => ({
              index,
              name: name || lang || PLAYER.track(index + 1),
            })),
          );
        });
        hls.on(Engine.Events.AUDIO_TRACK_SWITCHED, (_event, data) => setSound(data.id));
        hls.on(Engine.Events.LEVEL_SWITCHED, (_event, data) => {
          setActive(data.level);
          // What is decoded already stays on screen until the next key frame, and while paused for ever: look again.
          if (element.paused && element.currentTime > 0 && !element.seeking) element.currentTime += 0;
        });
        hls.on(Engine.Events.FRAG_BUFFERED, () => {
          networkFailures = 0;
        });
        hls.on(Engine.Events.ERROR, (_event, data) => {
          if (!data.fatal || !hls) return;
          if (data.type === Engine.ErrorTypes.NETWORK_ERROR && networkFailures < NETWORK_TRIES) {
            timer = setTimeout(
              () => (data.details.startsWith("manifest") ? hls?.loadSource(under(url)) : hls?.startLoad()),
              1000 * 2 ** networkFailures++,
            );
          } else if (data.type === Engine.ErrorTypes.MEDIA_ERROR && mediaFailures++ < 2) {
            hls.recoverMediaError();
          } else {
            setProblem(data.type === Engine.ErrorTypes.NETWORK_ERROR ? PROBLEMS.network : PROBLEMS.decode);
          }
        });
        hls.loadSource(under(url));
        hls.attachMedia(element);
      },
      () => setProblem(PROBLEMS.engine),
    );

    return () => {
      stopped = true;
      clearTimeout(timer);
      granted?.stop();
      hls?.destroy();
      engine.current = null;
      setLevels([]);
      setActive(null);
      setChosen(null);
      setSounds([]);
      setSound(0);
    };
  }, [video, url, privateId, attempt]);

  const choose = useCallback((level: number | null) => {
    setChosen(level);
    if (!engine.current) return;
    // A choice shows at once, even while paused or near the end; back to automatic, the change may wait.
    if (level === null) engine.current.nextLevel = -1;
    else engine.current.currentLevel = level;
  }, []);

  const chooseSound = useCallback((index: number) => {
    setSound(index);
    if (engine.current) engine.current.audioTrack = index;
  }, []);

  const again = useCallback(() => {
    setProblem(null);
    setAttempt((count) => count + 1);
  }, []);

  return { levels, active, chosen, choose, sounds, sound, chooseSound, problem, again };
}

/** The rendition's own name: a wide picture of 1920 by 804 is `1080p` too. */
function nameOf(width: number, height: number, bitrate: number, renditions: readonly Rendition[]): string {
  const same = renditions.find(
    ({ resolution }) => resolution.width === width && resolution.height === height,
  );
  if (same) return same.name;
  return height ? `${height}p` : `${Math.round(bitrate / 1000)} kbit/s`;
}
