/**
 * Lines of the map: the daemon's own path to each host, and what a chosen thing is joined with.
 *
 * Law: only what the daemon knows is drawn. It measures its own paths, not those between others,
 * and the kernel counts no traffic by peer: lines tell the round trip and the kind of path.
 */
import type { Frame } from "./frame.ts";
import { type Box, type Card, dotOf, type Point, type Spot } from "./layout.ts";
import { rttText, toneOf } from "./words.ts";

/** A star of more lines is a blot. */
const JOINED_MAX = 400;

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
    context.lineWidth = isMarked ? 2.5 : 1.6;
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
  const text = state === "alive" ? rttText(rttMs) : state;
  const from = border(self, middle(card));
  const to = border(card, middle(self));
  const at = { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 };
  if (text === "") return;
  context.font = `12px ${look.font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const width = context.measureText(text).width + 12;
  context.fillStyle = look.card;
  context.beginPath();
  context.roundRect(at.x - width / 2, at.y - 10, width, 20, 10);
  context.fill();
  context.lineWidth = 1;
  context.strokeStyle = look.edge;
  context.stroke();
  context.fillStyle = look.text;
  context.fillText(text, at.x, at.y + 0.5);
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
