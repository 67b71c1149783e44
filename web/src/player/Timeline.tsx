// The video as a strip of small pictures and the outline of its sound, with what is marked in it. It zooms.

import { useEffect, useLayoutEffect, useRef, useState, type PointerEvent, type Ref } from "react";
import { useImperativeHandle } from "react";
import { useQuery } from "@tanstack/react-query";
import { fetchLevel, fetchOutline } from "../api/peaks";
import { cellOf, fetchSprites, type Sprites } from "../api/sprites";
import type { Clip, FrameRate, Marker } from "../api/types";
import { TIMELINE as T } from "../strings/player";
import { Icon } from "../ui/Icon";
import type { Range } from "./marks";
import { following, levelFor, outline, panned, sampleAt, zoomed, type View } from "./timeline";

export interface TimelineHandle {
  zoom: (by: 1 | -1) => void;
}

interface TimelineProps {
  ref: Ref<TimelineHandle>;
  frame: number;
  frames: number;
  rate: FrameRate;
  spritesUrl: string | null;
  peaksUrl: string | null;
  /** It is still being rendered: more pictures come. */
  growing: boolean;
  clips: readonly Clip[];
  markers: readonly Marker[];
  range: Range | null;
  playing: boolean;
  onSeek: (frame: number) => void;
}

const PICTURES = 46;
const SOUND = 44;
const STEP = 1.6;
/** How often a video that is being rendered is asked for more pictures. */
const GROWS_MS = 5000;

export default function Timeline(props: TimelineProps) {
  const { frame, frames, rate, spritesUrl, peaksUrl, growing, clips, markers, range, playing, onSeek } =
    props;
  const [view, setView] = useState<View>({ from: 0, to: frames });
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const held = useRef(false);
  const length = view.to - view.from;
  const whole = length >= frames;
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = () => setWidth(element.clientWidth);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  // While it plays the strip turns like pages.
  useEffect(() => {
    if (!held.current) setView((old) => following(old, frame, frames));
  }, [frame, frames, playing]);

  const share = (at: number) => (at - view.from) / length;
  const zoom = (factor: number, around: number) => setView((old) => zoomed(old, factor, around, frames));
  const zoomHere = (by: 1 | -1) => {
    const here = share(frame);
    zoom(by > 0 ? 1 / STEP : STEP, here >= 0 && here <= 1 ? here : 0.5);
  };
  useImperativeHandle(props.ref, () => ({ zoom: zoomHere }));

  // The wheel scrolls the page, unless it is turned for the strip: with Ctrl it zooms, sideways or with Shift it moves.
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const wheel = (event: WheelEvent) => {
      const area = element.getBoundingClientRect();
      const sideways = event.deltaX || (event.shiftKey ? event.deltaY : 0);
      if (event.ctrlKey || event.metaKey) {
        const around = (event.clientX - area.left) / area.width;
        setView((old) => zoomed(old, 2 ** (event.deltaY / 240), around, frames));
      } else if (sideways !== 0) {
        setView((old) => panned(old, (sideways / area.width) * (old.to - old.from), frames));
      } else return;
      event.preventDefault();
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  }, [frames]);

  const seekTo = (event: PointerEvent<HTMLDivElement>) => {
    const area = event.currentTarget.getBoundingClientRect();
    if (area.width === 0) return;
    const at = view.from + Math.floor(((event.clientX - area.left) / area.width) * length);
    onSeek(Math.max(view.from, Math.min(view.to - 1, at)));
  };
  const place = (from: number, to: number) => ({
    left: `${share(from) * 100}%`,
    width: `${((to - from) / length) * 100}%`,
  });
  const seen = <Item extends { in_frame: number; out_frame: number }>(items: readonly Item[]) =>
    items.filter(({ in_frame, out_frame }) => out_frame > view.from && in_frame < view.to);

  return (
    <div className="timeline" role="group" aria-label={T.label}>
      <div
        className="timeline-strip"
        ref={box}
        style={{ height: (spritesUrl ? PICTURES : 0) + (peaksUrl ? SOUND : 0) }}
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          held.current = true;
          seekTo(event);
        }}
        onPointerMove={(event) => held.current && seekTo(event)}
        onPointerUp={() => (held.current = false)}
        onPointerCancel={() => (held.current = false)}
      >
        {spritesUrl && width > 0 && <Pictures url={spritesUrl} growing={growing} view={view} width={width} />}
        {peaksUrl && width > 0 && <Sound url={peaksUrl} view={view} width={width} rate={rate} />}
        {range && <span className="timeline-range" style={place(range.in, range.out)} />}
        {seen(clips).map(({ id, in_frame, out_frame }) => (
          <span key={id} className="timeline-clip" style={place(in_frame, out_frame)} />
        ))}
        {seen(markers).map(({ id, in_frame, out_frame, colour }) => (
          <span
            key={id}
            className="timeline-marker"
            data-colour={colour}
            style={place(in_frame, Math.max(out_frame, in_frame + 1))}
          />
        ))}
        <span className="timeline-now" style={{ left: `${share(frame + 0.5) * 100}%` }} />
      </div>
      <div className="timeline-zoom">
        <button
          className="control"
          type="button"
          aria-label={T.closer}
          title={`${T.closer} (+)`}
          disabled={length <= 24}
          onClick={() => zoomHere(1)}
        >
          <Icon name="plus" />
        </button>
        <button
          className="control"
          type="button"
          aria-label={T.further}
          title={`${T.further} (−)`}
          disabled={whole}
          onClick={() => zoomHere(-1)}
        >
          <Icon name="minus" />
        </button>
      </div>
    </div>
  );
}

interface PicturesProps {
  url: string;
  growing: boolean;
  view: View;
  width: number;
}

function Pictures({ url, growing, view, width }: PicturesProps) {
  const { data } = useQuery({
    queryKey: ["sprites", url],
    queryFn: ({ signal }) => fetchSprites(url, signal),
    staleTime: growing ? 0 : Infinity,
    refetchInterval: growing && GROWS_MS,
    retry: false,
  });
  return (
    <div className="timeline-pictures">{data && <Strip sprites={data} view={view} width={width} />}</div>
  );
}

function Strip({ sprites, view, width }: { sprites: Sprites; view: View; width: number }) {
  const wide = (PICTURES * sprites.width) / sprites.height;
  const number = Math.max(1, Math.ceil(width / wide));
  const length = view.to - view.from;
  return Array.from({ length: number }, (_, index) => {
    const middle = Math.min(view.to - 1, Math.floor(view.from + ((index + 0.5) * wide * length) / width));
    const cell = cellOf(sprites, middle);
    const sheet = cell && sprites.sheets[cell.sheet];
    if (!cell || !sheet) return null;
    return (
      <svg
        key={index}
        width={wide}
        height={PICTURES}
        viewBox={`${cell.x} ${cell.y} ${sprites.width} ${sprites.height}`}
        preserveAspectRatio="none"
        aria-hidden="true"
      >
        <image href={sheet.url} width={sheet.width} height={sheet.height} />
      </svg>
    );
  });
}

function Sound({ url, view, width, rate }: { url: string; view: View; width: number; rate: FrameRate }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { data: track } = useQuery({
    queryKey: ["peaks", url],
    queryFn: ({ signal }) => fetchOutline(url, signal),
    staleTime: Infinity,
    retry: false,
  });
  const [from, to] = track
    ? [sampleAt(view.from, rate, track.sample_rate), sampleAt(view.to, rate, track.sample_rate)]
    : [0, 0];
  const level = track ? levelFor(track.levels, to - from, width) : null;
  const { data } = useQuery({
    queryKey: ["peaks", url, level?.samples_per_bucket],
    queryFn: ({ signal }) =>
      track && level ? fetchLevel(track, level, signal) : Promise.resolve(new Int8Array()),
    enabled: level !== null,
    staleTime: Infinity,
    retry: false,
  });
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || !canvas.current || !data || !track || !level) return;
    const scale = devicePixelRatio || 1;
    const pixels = Math.round(width * scale);
    const height = Math.round(SOUND * scale);
    canvas.current.width = pixels;
    canvas.current.height = height;
    const columns = outline(data, track.channels, level.samples_per_bucket, from, to, pixels);
    context.fillStyle = getComputedStyle(canvas.current).color;
    for (let column = 0; column < pixels; column += 1) {
      const low = columns[column * 2] ?? 0;
      const high = columns[column * 2 + 1] ?? 0;
      const top = Math.round((1 - high) * (height / 2));
      context.fillRect(column, top, 1, Math.max(1, Math.round((1 - low) * (height / 2)) - top));
    }
  }, [data, track, level, from, to, width]);
  return <canvas ref={canvas} className="timeline-sound" style={{ height: SOUND }} aria-hidden="true" />;
}
