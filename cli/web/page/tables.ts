/** The same things as tables: what the list view shows. Pure. */
import type { Container, Graph, Host, Network } from "./graph.ts";
import { stateOf, titleOf } from "./graph.ts";
import type { Choice } from "./pointing.ts";
import type { Found } from "./search.ts";
import { endpointTone, pathText, rttText, type Tone, toneOf, trafficText } from "./words.ts";

export interface Row {
  readonly choice: Choice;
  /** The first one names the thing. */
  readonly cells: readonly string[];
  readonly tone: Tone;
}

export interface Table {
  readonly caption: string;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  /** Rows that the search hides. */
  readonly hidden: number;
}

/** Hosts, networks and containers, those that were found. */
export function tablesOf(graph: Graph, found: Found | undefined): Table[] {
  const names = new Map(graph.hosts.map(({ key, name }) => [key, name]));
  const hosts = graph.hosts.filter(({ key }) => found?.hosts.has(key) ?? true);
  const networks = graph.networks.filter(({ name }) => found?.networks.has(name) ?? true);
  const all = [...graph.containers.values()];
  const containers = all.filter(({ key }) => found?.containers.has(key) ?? true);
  return [
    {
      caption: "Hosts",
      columns: ["Host", "State", "Gossip", "Round trip", "Traffic", "Address", "Containers"],
      rows: hosts.map(hostRow),
      hidden: graph.hosts.length - hosts.length,
    },
    {
      caption: "Networks",
      columns: ["Network", "Subnet", "VNI", "MTU", "Hosts", "Containers", "Conflicts"],
      rows: networks.map(networkRow),
      hidden: graph.networks.length - networks.length,
    },
    {
      caption: "Containers",
      columns: ["Container", "Host", "Network", "Address", "State", "Also called"],
      rows: containers.map((one) => containerRow(one, names.get(one.host) ?? "")),
      hidden: all.length - containers.length,
    },
  ];
}

function hostRow(host: Host): Row {
  const { key, name, state, rttMs, address, containers } = host;
  const way = [pathText(host), rttText(rttMs), trafficText(host)];
  const cells = [name, state, ...way, address, String(containers.length)];
  return { choice: { kind: "host", key }, cells, tone: toneOf(host) };
}

function networkRow({ name, rows, containers }: Network): Row {
  const each = (value: (row: Network["rows"][number]) => string | number): string =>
    rows.map(value).join(", ");
  const conflicts = rows.flatMap((row) => row.conflicts);
  const cells = [
    name,
    each(({ subnet }) => subnet),
    each(({ vni }) => vni),
    each(({ mtu }) => mtu),
    each(({ present }) => present.length),
    String(containers.length),
    conflicts.join("; "),
  ];
  return { choice: { kind: "network", key: name }, cells, tone: conflicts.length ? "bad" : "good" };
}

function containerRow(container: Container, host: string): Row {
  const { key, parts } = container;
  const state = stateOf(container);
  const aliases = new Set(parts.flatMap((part) => part.aliases));
  const cells = [
    titleOf(container),
    host,
    parts.map(({ network }) => network).join(", "),
    parts.map(({ ip }) => ip).join(", "),
    state,
    [...aliases].join(", "),
  ];
  return { choice: { kind: "container", key }, cells, tone: endpointTone(state) };
}
