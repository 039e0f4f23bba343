/** From places to things: what is under the pointer, what comes next in a direction. Pure. */
import type { Box, Card, Point, Scene, Spot } from "./layout.ts";

export type Kind = "host" | "container" | "network";

/** `key`: of a host or container; a network's name. */
export interface Choice {
  readonly kind: Kind;
  readonly key: string;
}

export type Direction = "left" | "right" | "up" | "down";

export function thingAt(scene: Scene, point: Point): Choice | undefined {
  const card = scene.cards.find((box) => isInside(box, point));
  if (card === undefined) return undefined;
  const spot = card.spots.find((box) => isInside(box, point));
  return spot === undefined ? hostChoice(card) : containerChoice(spot);
}

/** Where a thing stands; undefined when it is not on the map. */
export function boxOf(scene: Scene, choice: Choice | undefined): Box | undefined {
  if (choice?.kind === "host") return scene.cards.find(({ host }) => host.key === choice.key);
  if (choice?.kind !== "container") return undefined;
  return allSpots(scene).find(({ container }) => container.key === choice.key);
}

/**
 * The next thing of the same kind in a direction: of a container its neighbour on any host.
 * Without a choice the first host.
 */
export function nextIn(
  scene: Scene,
  from: Choice | undefined,
  direction: Direction,
): Choice | undefined {
  const start = boxOf(scene, from);
  const [first] = scene.cards;
  if (start === undefined) return first && hostChoice(first);
  const boxes: readonly Box[] = from?.kind === "container" ? allSpots(scene) : scene.cards;
  let best: { box: Box; cost: number } | undefined;
  for (const box of boxes) {
    const cost = costOf(start, box, direction);
    if (cost < (best?.cost ?? Number.POSITIVE_INFINITY)) best = { box, cost };
  }
  if (best === undefined) return from;
  return "container" in best.box ? containerChoice(best.box as Spot) : hostChoice(best.box as Card);
}

/** Into a host's containers. */
export function firstInside(scene: Scene, choice: Choice | undefined): Choice | undefined {
  const card = scene.cards.find(({ host }) => host.key === choice?.key);
  const [first] = card?.spots ?? [];
  return first === undefined ? choice : containerChoice(first);
}

/** From a container to its host, from anything else to nothing. */
export function outside(scene: Scene, choice: Choice | undefined): Choice | undefined {
  if (choice?.kind !== "container") return undefined;
  const card = scene.cards.find(({ spots }) =>
    spots.some(({ container }) => container.key === choice.key),
  );
  return card && hostChoice(card);
}

function allSpots(scene: Scene): readonly Spot[] {
  return scene.cards.flatMap(({ spots }) => spots);
}

/** Distance, sideways counted double; infinite where it is not that way. */
function costOf(from: Box, to: Box, direction: Direction): number {
  const dx = to.x + to.width / 2 - from.x - from.width / 2;
  const dy = to.y + to.height / 2 - from.y - from.height / 2;
  const [along, aside] = {
    left: [-dx, dy],
    right: [dx, dy],
    up: [-dy, dx],
    down: [dy, dx],
  }[direction] as [number, number];
  return along < 1 ? Number.POSITIVE_INFINITY : along + 2 * Math.abs(aside);
}

function isInside(box: Box, { x, y }: Point): boolean {
  return x >= box.x && y >= box.y && x < box.x + box.width && y < box.y + box.height;
}

const hostChoice = ({ host }: Card): Choice => ({ kind: "host", key: host.key });

function containerChoice({ container }: Spot): Choice {
  return { kind: "container", key: container.key };
}
