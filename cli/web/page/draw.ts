/**
 * The map on a canvas: lines, then cards, then what is chosen.
 *
 * Law: one pass a frame, no work kept for later; a frame costs a few milliseconds with 1000
 * containers (test/unit/cli/web-browser.test.ts measures it). State is never told by colour alone.
 */
import { alphaOf, type Frame, hostAlphaOf } from "./frame.ts";
import { stateOf, titleOf } from "./graph.ts";
import { type Box, type Card, dotOf, type Scene } from "./layout.ts";
import { drawJoined, drawPaths } from "./links.ts";
import type { Look } from "./look.ts";
import { boxOf } from "./pointing.ts";
import { BUTTONS, type Room, type View } from "./view.ts";
import { endpointTone, pathText, rttText, shown, type Tone, toneOf } from "./words.ts";

const DOT = 5.5;
/** Below these pixels a unit, text is a blur. */
const NAMES_SCALE_MIN = 0.45;
const TEXTS_MAX = 4000;
/** BOUNDED: TEXTS_MAX, then all go. */
const cutTexts = new Map<string, string>();

export function drawMap(context: CanvasRenderingContext2D, frame: Frame, ratio: number): void {
  const { view, room, scene } = frame;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, room.width, room.height);
  const scale = ratio * view.scale;
  context.setTransform(scale, 0, 0, scale, ratio * view.x, ratio * view.y);
  const cards = scene.cards.filter((card) => isSeen(card, view, room));
  if (scene.isRing) drawPaths(context, frame);
  for (const card of cards) drawCard(context, frame, card);
  drawJoined(context, frame);
  if (scene.isNamed) drawLines(context, frame, cards);
  drawDots(context, frame, cards);
  // Rows of cards would hide most of it, and what is seen would join the wrong ones.
  if (!scene.isRing) drawPaths(context, frame);
  drawMarks(context, frame);
}

function isSeen(box: Box, { scale, x, y }: View, { width, height }: Room): boolean {
  const [left, top] = [x + box.x * scale, y + box.y * scale];
  const [right, bottom] = [left + box.width * scale, top + box.height * scale];
  return right > 0 && bottom > 0 && left < width && top < height;
}

function drawCard(context: CanvasRenderingContext2D, frame: Frame, card: Card): void {
  const { look, view, scene } = frame;
  const { host, x, y, width, height } = card;
  const tone = toneOf(host);
  context.globalAlpha = hostAlphaOf(frame, host);
  context.beginPath();
  context.roundRect(x, y, width, height, 9);
  context.fillStyle = look.card;
  context.fill();
  context.lineWidth = host.self ? 2 : 1;
  context.strokeStyle = tone === "good" ? (host.self ? look.accent : look.edge) : look.tones[tone];
  context.setLineDash(host.state === "left" || host.state === "dead" ? [5, 4] : []);
  context.stroke();
  context.setLineDash([]);
  drawGlyph(context, look, tone, x + 17, y + 16);
  if (view.scale < NAMES_SCALE_MIN) return;
  const room = width - 40;
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.fillStyle = look.text;
  context.font = `600 ${scene.isNamed ? 13.5 : 15}px ${look.font}`;
  context.fillText(cut(context, host.name, room), x + 30, y + 16.5);
  context.fillStyle = tone === "good" ? look.faint : look.tones[tone];
  context.font = `${scene.isNamed ? 11.5 : 13}px ${look.font}`;
  context.fillText(cut(context, underText(card, scene), room), x + 30, y + 34);
}

/** The second line: what is wrong, else the way there. */
function underText({ host }: Card, { isNamed, isRing }: Scene): string {
  const rtt = rttText(host.rttMs);
  if (host.self) return "this host";
  if (host.state !== "alive") return host.state === "suspect" ? "does not answer" : host.state;
  if (host.direct === false) return isNamed ? pathText(host) : "only others reach it";
  const path = host.direct === null ? "" : pathText(host);
  // In a ring the round trip stands on the line.
  return (isRing ? [path] : [rtt, path]).filter(Boolean).join(", ");
}

/** Good a disc, doubtful a triangle, bad a cross, gone a ring. */
function drawGlyph(
  context: CanvasRenderingContext2D,
  look: Look,
  tone: Tone,
  x: number,
  y: number,
): void {
  context.fillStyle = look.tones[tone];
  context.strokeStyle = look.tones[tone];
  context.lineWidth = 2.4;
  context.beginPath();
  if (tone === "good") context.arc(x, y, 4.6, 0, 2 * Math.PI);
  if (tone === "warn") {
    context.moveTo(x, y - 5.5);
    context.lineTo(x + 6, y + 4.8);
    context.lineTo(x - 6, y + 4.8);
  }
  if (tone === "good" || tone === "warn") context.fill();
  if (tone === "bad") {
    for (const side of [-1, 1]) {
      context.moveTo(x - 4.5, y - 4.5 * side);
      context.lineTo(x + 4.5, y + 4.5 * side);
    }
  }
  if (tone === "off") context.arc(x, y, 4, 0, 2 * Math.PI);
  if (tone === "bad" || tone === "off") context.stroke();
}

/** Names beside the dots, while each container has a line. */
function drawLines(context: CanvasRenderingContext2D, frame: Frame, cards: readonly Card[]): void {
  const { look, view } = frame;
  if (view.scale < NAMES_SCALE_MIN) return;
  context.font = `12.5px ${look.font}`;
  for (const spot of cards.flatMap(({ spots }) => spots)) {
    const { x, y, width, height, container } = spot;
    const middle = y + height / 2 + 0.5;
    const more = container.parts.length - 1;
    const ip = `${container.parts[0].ip}${more === 0 ? "" : ` +${more}`}`;
    context.globalAlpha = alphaOf(frame, spot.container);
    context.fillStyle = look.faint;
    context.textAlign = "right";
    context.fillText(ip, x + width - 6, middle);
    context.fillStyle = look.text;
    context.textAlign = "left";
    const room = width - 42 - context.measureText(ip).width;
    context.fillText(cut(context, titleOf(container), room), x + 24, middle);
  }
}

/** A dot a container, in the colours of its networks; hollow while it is not well. */
function drawDots(context: CanvasRenderingContext2D, frame: Frame, cards: readonly Card[]): void {
  const { graph, look } = frame;
  const colours = new Map(graph.networks.map(({ name, colour }) => [name, look.networks[colour]]));
  for (const spot of cards.flatMap(({ spots }) => spots)) {
    const { container } = spot;
    const { x, y } = dotOf(spot);
    const tone = endpointTone(stateOf(container));
    const share = (2 * Math.PI) / container.parts.length;
    context.globalAlpha = alphaOf(frame, spot.container);
    container.parts.forEach(({ network }, at) => {
      const colour = colours.get(network) ?? look.faint;
      context.beginPath();
      if (tone !== "good") {
        context.arc(x, y, DOT - 1.2, at * share, (at + 1) * share);
        context.strokeStyle = colour;
        context.lineWidth = 2.2;
        context.stroke();
        return;
      }
      if (container.parts.length > 1) context.moveTo(x, y);
      context.arc(x, y, DOT, at * share, (at + 1) * share);
      context.fillStyle = colour;
      context.fill();
    });
  }
  context.globalAlpha = 1;
}

/** Around what is chosen and what is pointed at; the name of a dot that has none. */
function drawMarks(context: CanvasRenderingContext2D, frame: Frame): void {
  const { scene, look, choice, hover, view } = frame;
  for (const [thing, width] of [
    [hover, 1.5],
    [choice, 3],
  ] as const) {
    const box = boxOf(scene, thing);
    if (box === undefined) continue;
    const round = thing?.kind === "host" ? 10 : 6;
    context.strokeStyle = look.accent;
    context.lineWidth = width / Math.min(1, view.scale);
    context.beginPath();
    context.roundRect(box.x, box.y, box.width, box.height, round);
    context.stroke();
    if (thing?.kind === "container" && !scene.isNamed) drawTip(context, frame, box, thing.key);
  }
}

function drawTip(
  context: CanvasRenderingContext2D,
  { graph, look, view, room }: Frame,
  box: Box,
  key: string,
): void {
  const container = graph.containers.get(key);
  if (container === undefined) return;
  const size = 1 / view.scale;
  context.font = `${12.5 * size}px ${look.font}`;
  const text = cut(context, `${titleOf(container)}  ${container.parts[0].ip}`, 320 * size);
  const width = context.measureText(text).width + 16 * size;
  const height = 24 * size;
  const right = (room.width - BUTTONS - view.x) / view.scale;
  const x = Math.min(box.x + box.width + 3 * size, right - width - 4 * size);
  const y = box.y - height - 2 * size;
  context.fillStyle = look.text;
  context.beginPath();
  context.roundRect(x, y, width, height, 5 * size);
  context.fill();
  context.fillStyle = look.card;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillText(text, x + 8 * size, y + height / 2);
}

/** A name as far as it fits. */
function cut(context: CanvasRenderingContext2D, name: string, width: number): string {
  const id = `${context.font}|${Math.round(width)}|${name}`;
  const known = cutTexts.get(id);
  if (known !== undefined) return known;
  const letters = [...shown(name)];
  const whole = letters.join("");
  let text = whole;
  while (letters.length > 1 && context.measureText(text).width > width) {
    letters.pop();
    text = `${letters.join("")}\u2026`;
  }
  if (cutTexts.size >= TEXTS_MAX) cutTexts.clear();
  cutTexts.set(id, text);
  return text;
}
