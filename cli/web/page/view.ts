/** Which part of the map is seen: a scale and an offset. Pure. */
import type { Box, Point } from "./layout.ts";

export interface View {
  /** Pixels a unit. */
  readonly scale: number;
  /** Pixels from the left and the top to the map's origin. */
  readonly x: number;
  readonly y: number;
}

export interface Room {
  readonly width: number;
  readonly height: number;
}

const SCALE_MIN = 0.05;
const SCALE_MAX = 5;
const FIT_MAX = 1.25;
const MARGIN = 20;
/** Width at the right that the buttons for the size take. */
export const BUTTONS = 40;

/** All of it, in the middle of what the buttons leave free. */
export function fit(bounds: Box, { width, height }: Room): View {
  const room = { width: width - BUTTONS, height };
  const wide = (room.width - 2 * MARGIN) / bounds.width;
  const high = (room.height - 2 * MARGIN) / bounds.height;
  const scale = clamp(Math.min(wide, high, FIT_MAX));
  return {
    scale,
    x: room.width / 2 - (bounds.x + bounds.width / 2) * scale,
    y: room.height / 2 - (bounds.y + bounds.height / 2) * scale,
  };
}

/** The point under `at` stays there. */
export function zoomed(view: View, factor: number, at: Point): View {
  const scale = clamp(view.scale * factor);
  const real = scale / view.scale;
  return { scale, x: at.x - (at.x - view.x) * real, y: at.y - (at.y - view.y) * real };
}

/** Moved just so far that the box is seen. */
export function withSight(view: View, box: Box, room: Room): View {
  const shift = (low: number, high: number, size: number): number => {
    if (low < MARGIN) return MARGIN - low;
    return high > size - MARGIN ? Math.max(size - MARGIN - high, MARGIN - low) : 0;
  };
  const left = view.x + box.x * view.scale;
  const top = view.y + box.y * view.scale;
  return {
    scale: view.scale,
    x: view.x + shift(left, left + box.width * view.scale, room.width),
    y: view.y + shift(top, top + box.height * view.scale, room.height),
  };
}

export function toMap(view: View, { x, y }: Point): Point {
  return { x: (x - view.x) / view.scale, y: (y - view.y) / view.scale };
}

function clamp(scale: number): number {
  return Math.min(SCALE_MAX, Math.max(SCALE_MIN, scale));
}
