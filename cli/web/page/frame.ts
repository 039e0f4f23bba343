/** All that one picture of the map is made of, and what in it steps back. */
import type { Container, Graph, Host } from "./graph.ts";
import type { Scene } from "./layout.ts";
import type { Look } from "./look.ts";
import type { Choice } from "./pointing.ts";
import type { Found } from "./search.ts";
import type { Room, View } from "./view.ts";

export interface Frame {
  readonly graph: Graph;
  readonly scene: Scene;
  readonly view: View;
  readonly room: Room;
  readonly look: Look;
  readonly choice: Choice | undefined;
  readonly hover: Choice | undefined;
  readonly found: Found | undefined;
}

const FADED = 0.2;
const FADED_HOST = 0.4;

/** What is not searched for steps back, and what the chosen thing shares no network with. */
export function alphaOf({ graph, found, choice }: Frame, { key, parts }: Container): number {
  if (found !== undefined && !found.containers.has(key)) return FADED;
  if (choice === undefined || choice.kind === "host") return 1;
  if (choice.kind === "network") return isOn(parts, choice.key) ? 1 : FADED;
  const chosen = graph.containers.get(choice.key)?.parts ?? [];
  return chosen.some(({ network }) => isOn(parts, network)) ? 1 : FADED;
}

function isOn(parts: Container["parts"], name: string): boolean {
  return parts.some(({ network }) => network === name);
}

export function hostAlphaOf({ found }: Frame, { key, containers }: Host): number {
  if (found === undefined || found.hosts.has(key)) return 1;
  return containers.some((one) => found.containers.has(one.key)) ? 1 : FADED_HOST;
}
