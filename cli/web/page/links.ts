/**
 * Lines of the map: the daemon's own path to each host, and what a chosen thing is joined with.
 *
 * Law: only what the daemon knows is drawn. It measures its own paths, not those between others:
 * lines tell the round trip, the kind of path, and by their width and a second line the traffic.
 */
import type { Frame } from "./frame.ts";
import { type Box, type Card, dotOf, type Point, type Spot } from "./layout.ts";
import { rttText, toneOf, trafficText } from "./words.ts";

/** A star of more lines is a blot. */
const JOINED_MAX = 400;
/** Height of a line of a label. */
const LINE = 16;

/** In a ring all paths, each with its round trip; in rows only the one that is chosen. */
export function drawPaths(context: CanvasRenderingContext2D, frame: Frame): void {
  const { scene, look, choice, hover } = frame;
  const self = scene.cards.find(({ host }) => host.self);
  if (self === undefined) return;
  for (const card of scene.cards) {
    if (card === self || card.host.state === "left") continue;
    const tone = toneOf(card.host);
    const isMarked = [choice, hover].some((one) => one?.key === card.host.key);
    if (!scene.isRing && !isMarked) continue;
    context.strokeStyle = isMarked ? look.accent : tone === "good" ? look.edge : look.tones[tone];
    context.lineWidth = (isMarked ? 2.5 : 1.6) + widthOf(card.host);
    context.setLineDash(tone === "good" ? [] : [7, 5]);
    line(context, border(self, middle(card)), border(card, middle(self)));
    context.setLineDash([]);
    drawLabel(context, frame, self, card);
  }
}

function drawLabel(
  context: CanvasRenderingContext2D,
  { look }: Frame,
  self: Card,
  card: Card,
): void {
  const { state, rttMs } = card.host;
  const lines = [state === "alive" ? rttText(rttMs) : state, ...trafficText(card.host).split(", ")];
  const texts = lines.filter(Boolean);
  if (texts.length === 0) return;
  const from = border(self, middle(card));
  const to = border(card, middle(self));
  const at = { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 };
  context.font = `12px ${look.font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const width = Math.max(...texts.map((text) => context.measureText(text).width)) + 12;
  const height = LINE * texts.length + 4;
  context.fillStyle = look.card;
  context.beginPath();
  context.roundRect(at.x - width / 2, at.y - height / 2, width, height, 10);
  context.fill();
  context.lineWidth = 1;
  context.strokeStyle = look.edge;
  context.stroke();
  context.fillStyle = look.text;
  texts.forEach((text, index) => {
    context.fillText(text, at.x, at.y + 0.5 + LINE * (index - (texts.length - 1) / 2));
  });
}

/** Wider by a unit for each power of ten above a kilobyte a second. */
function widthOf({ inBytesPerSecond, outBytesPerSecond }: Card["host"]): number {
  const rate = (inBytesPerSecond ?? 0) + (outBytesPerSecond ?? 0);
  return Math.min(6, Math.max(0, Math.log10(Math.max(1, rate)) - 3));
}

/** From a chosen container to all that share a network with it. */
export function drawJoined(
  context: CanvasRenderingContext2D,
  { graph, scene, look, choice }: Frame,
): void {
  if (choice?.kind !== "container") return;
  const spots = new Map<string, Spot>();
  for (const { spots: some } of scene.cards) {
    for (const spot of some) spots.set(spot.container.key, spot);
  }
  const start = spots.get(choice.key);
  if (start === undefined) return;
  const from = dotOf(start);
  context.lineWidth = 1.4;
  for (const { network } of start.container.parts) {
    const joined = graph.networks.find(({ name }) => name === network);
    context.strokeStyle = look.networks[joined?.colour ?? 0] ?? look.edge;
    context.globalAlpha = (joined?.containers.length ?? 0) > 60 ? 0.3 : 0.75;
    for (const { key } of joined?.containers.slice(0, JOINED_MAX) ?? []) {
      const spot = spots.get(key);
      if (spot !== undefined) line(context, from, dotOf(spot));
    }
  }
  context.globalAlpha = 1;
}

function line(context: CanvasRenderingContext2D, from: Point, to: Point): void {
  context.beginPath();
  context.moveTo(from.x, from.y);
  context.lineTo(to.x, to.y);
  context.stroke();
}

function middle({ x, y, width, height }: Box): Point {
  return { x: x + width / 2, y: y + height / 2 };
}

/** Where the line from a box's middle to a point leaves the box. */
function border(box: Box, to: Point): Point {
  const from = middle(box);
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const part = Math.min(
    dx === 0 ? 1 : box.width / 2 / Math.abs(dx),
    dy === 0 ? 1 : box.height / 2 / Math.abs(dy),
  );
  return { x: from.x + dx * part, y: from.y + dy * part };
}
