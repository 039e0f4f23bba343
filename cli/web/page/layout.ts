/**
 * Where everything stands on the map, in units of its own.
 *
 * Few hosts: a ring around the daemon's own, so that each path is seen. Many: rows of cards. Each
 * host's card holds its containers, as named lines while they are few, as dots when they are many.
 *
 * Law: pure, and a function of the graph alone: the same mesh always looks the same. No two cards
 * overlap.
 */
import type { Container, Graph, Host } from "./graph.ts";

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Box extends Point {
  readonly width: number;
  readonly height: number;
}

export interface Spot extends Box {
  readonly container: Container;
}

export interface Card extends Box {
  readonly host: Host;
  readonly spots: readonly Spot[];
}

export interface Scene {
  /** Whether containers are lines with names. */
  readonly isNamed: boolean;
  /** Whether there is room for a text on each path. */
  readonly isRing: boolean;
  readonly cards: readonly Card[];
  readonly bounds: Box;
}

/** Height of the lines with the host's name and state. */
export const HEAD = 46;
export const LINE = 22;
export const PITCH = 17;
const PADDING = 12;
const NAMED_WIDTH = 236;
const NAMED_MAX = 10;
const RING_MAX = 9;
const GAP = 20;
const RING_GAP = 104;
const COLUMNS_MIN = 9;
const COLUMNS_MAX = 40;

/** The middle of a container's dot. */
export function dotOf({ x, y, height }: Spot): Point {
  return { x: x + height / 2, y: y + height / 2 };
}

interface Size {
  readonly host: Host;
  readonly width: number;
  readonly height: number;
}

/** `aspect`: width by height of the room there is. */
export function layout(graph: Graph, aspect: number): Scene {
  const most = Math.max(0, ...graph.hosts.map(({ containers }) => containers.length));
  const isNamed = most <= NAMED_MAX && graph.hosts.length <= 2 * RING_MAX;
  const isRing = graph.hosts.length <= RING_MAX;
  const columns = isNamed ? 1 : dotColumns(most);
  const sizes = graph.hosts.map((host) => sizeOf(host, isNamed, columns));
  const places = isRing ? ring(sizes, aspect) : rows(sizes, aspect);
  const cards = sizes.map((size, at) => {
    const { x, y } = places[at] ?? { x: 0, y: 0 };
    const box = { x, y, width: size.width, height: size.height };
    return { ...box, host: size.host, spots: spotsOf(size.host, box, isNamed, columns) };
  });
  return { isNamed, isRing, cards, bounds: around(cards) };
}

function dotColumns(most: number): number {
  return Math.min(COLUMNS_MAX, Math.max(COLUMNS_MIN, Math.ceil(Math.sqrt(2.5 * most))));
}

function sizeOf(host: Host, isNamed: boolean, columns: number): Size {
  const lines = Math.ceil(host.containers.length / columns);
  const body = lines === 0 ? 0 : lines * (isNamed ? LINE : PITCH) + PADDING;
  const width = isNamed ? NAMED_WIDTH : columns * PITCH + 2 * PADDING;
  return { host, width, height: HEAD + body };
}

function spotsOf(host: Host, card: Box, isNamed: boolean, columns: number): Spot[] {
  const width = isNamed ? card.width - PADDING : PITCH;
  const height = isNamed ? LINE : PITCH;
  const left = card.x + (isNamed ? PADDING / 2 : PADDING);
  return host.containers.map((container, at) => ({
    container,
    x: left + (at % columns) * width,
    y: card.y + HEAD + 2 + Math.floor(at / columns) * height,
    width,
    height,
  }));
}

/** The first in the middle, the others around it, as near as they can be. */
function ring(sizes: readonly Size[], aspect: number): Point[] {
  const others = sizes.length - 1;
  const start = others <= 2 ? Math.PI : -Math.PI / 2;
  const stretch = Math.min(2, Math.max(0.6, aspect));
  for (let radius = 120; ; radius *= 1.04) {
    const places = sizes.map(({ width, height }, at) => {
      const angle = start + ((at - 1) * 2 * Math.PI) / others;
      const x = at === 0 ? 0 : Math.cos(angle) * radius * stretch;
      const y = at === 0 ? 0 : Math.sin(angle) * radius;
      return { x: x - width / 2, y: y - height / 2, width, height };
    });
    if (!isCrowded(places, RING_GAP)) return places;
  }
}

function isCrowded(boxes: readonly Box[], gap: number): boolean {
  return boxes.some((one, at) => boxes.slice(at + 1).some((other) => isNear(one, other, gap)));
}

function isNear(one: Box, other: Box, gap: number): boolean {
  const apartX = Math.max(other.x - one.x - one.width, one.x - other.x - other.width);
  const apartY = Math.max(other.y - one.y - one.height, one.y - other.y - other.height);
  return apartX < gap && apartY < gap;
}

/** In reading order, in the number of columns that lets all be seen largest. */
function rows(sizes: readonly Size[], aspect: number): Point[] {
  let best: { readonly places: Point[]; readonly size: number } | undefined;
  for (let columns = 1; columns <= sizes.length; columns += 1) {
    const { places, width, height } = grid(sizes, columns);
    const size = Math.max(width / aspect, height);
    if (best === undefined || size < best.size) best = { places, size };
  }
  return best?.places ?? [];
}

function grid(sizes: readonly Size[], columns: number) {
  const step = (sizes[0]?.width ?? 0) + GAP;
  const places: Point[] = [];
  let y = 0;
  for (let first = 0; first < sizes.length; first += columns) {
    const row = sizes.slice(first, first + columns);
    row.forEach((_, at) => {
      places.push({ x: at * step, y });
    });
    y += Math.max(...row.map((size) => size.height)) + GAP;
  }
  return { places, width: columns * step - GAP, height: y - GAP };
}

function around(boxes: readonly Box[]): Box {
  const x = Math.min(0, ...boxes.map((box) => box.x));
  const y = Math.min(0, ...boxes.map((box) => box.y));
  const right = Math.max(1, ...boxes.map((box) => box.x + box.width));
  const bottom = Math.max(1, ...boxes.map((box) => box.y + box.height));
  return { x, y, width: right - x, height: bottom - y };
}
