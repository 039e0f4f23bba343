/**
 * The streamed rows as a graph: hosts that hold containers, networks that join them.
 *
 * Law: pure; every endpoint is in exactly one container, and the order does not depend on when a
 * row came.
 */
import type { MapEndpoint, MapHost, MapModel, MapNetwork, MapSummary } from "./model.ts";

/** Endpoints of one name on one host, one a network: one container, as far as rows can tell. */
export interface Container {
  readonly key: string;
  readonly name: string;
  readonly host: string;
  readonly parts: readonly [MapEndpoint, ...MapEndpoint[]];
}

export interface Host extends MapHost {
  readonly containers: readonly Container[];
}

/** Networks of one name are one here: endpoints name theirs. */
export interface Network {
  readonly name: string;
  /** Which of the colours; falls back to the first when there are more networks than colours. */
  readonly colour: number;
  readonly rows: readonly MapNetwork[];
  readonly containers: readonly Container[];
}

export interface Graph {
  readonly summary: MapSummary;
  /** The daemon's own first, then by name. */
  readonly hosts: readonly Host[];
  readonly networks: readonly Network[];
  readonly containers: ReadonlyMap<string, Container>;
}

export const COLOURS = 8;

const collator = new Intl.Collator("en", { numeric: true });
const compare = (a: string, b: string): number => collator.compare(a, b) || (a < b ? -1 : 1);

export function graphOf(model: MapModel): Graph {
  const containers = containersOf(model.endpoints);
  const byHost = new Map<string, Container[]>(model.hosts.map(({ key }) => [key, []]));
  for (const one of containers) byHost.get(one.host)?.push(one);
  const hosts = model.hosts
    .toSorted((a, b) => Number(b.self) - Number(a.self) || byName(a, b))
    .map((host) => ({ ...host, containers: byHost.get(host.key) ?? [] }));
  return {
    summary: model.summary,
    hosts,
    networks: networksOf(model.networks, containers),
    containers: new Map(containers.map((one) => [one.key, one])),
  };
}

function byName(a: { name: string; key: string }, b: { name: string; key: string }): number {
  return collator.compare(a.name, b.name) || compare(a.key, b.key);
}

/** In the order of network and name, as they stand side by side on their host. */
function containersOf(endpoints: readonly MapEndpoint[]): Container[] {
  const found = new Map<string, [MapEndpoint, ...MapEndpoint[]]>();
  for (const part of endpoints.toSorted((a, b) => compare(a.key, b.key))) {
    const key = part.name === "" ? part.key : `${part.host}/${part.name}`;
    const parts = found.get(key);
    if (parts === undefined) found.set(key, [part]);
    else if (parts.every(({ network }) => network !== part.network)) parts.push(part);
    else found.set(part.key, [part]);
  }
  return [...found]
    .map(([key, parts]) => {
      parts.sort((a, b) => compare(a.network, b.network));
      const [{ name, host }] = parts;
      return { key, name, host, parts };
    })
    .sort((a, b) => collator.compare(a.parts[0].network, b.parts[0].network) || byName(a, b));
}

function networksOf(rows: readonly MapNetwork[], containers: readonly Container[]): Network[] {
  const found = new Map<string, { rows: MapNetwork[]; containers: Container[] }>();
  const entry = (name: string) => {
    const known = found.get(name) ?? { rows: [], containers: [] };
    found.set(name, known);
    return known;
  };
  for (const row of rows) entry(row.name).rows.push(row);
  for (const one of containers) {
    for (const { network } of one.parts) entry(network).containers.push(one);
  }
  return [...found]
    .sort(([a], [b]) => compare(a, b))
    .map(([name, network], at) => ({ name, colour: at % COLOURS, ...network }));
}

/** What a container is called: its name, or the beginning of its endpoint's id. */
export function titleOf({ name, parts }: Container): string {
  return name === "" ? (parts[0].key.split("/").at(-1) ?? "").slice(0, 12) : name;
}

/** The worst of its endpoints. */
export function stateOf({ parts }: Container): MapEndpoint["state"] {
  return parts.find(({ state }) => state !== "alive")?.state ?? "alive";
}
