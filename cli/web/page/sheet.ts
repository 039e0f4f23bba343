/** What the details panel says of a chosen thing, or of the mesh when nothing is chosen. Pure. */
import type { Container, Graph, Host, Network } from "./graph.ts";
import { stateOf, titleOf } from "./graph.ts";
import type { Choice } from "./pointing.ts";
import { count, endpointTone, pathText, rttText, type Tone, toneOf, trafficText } from "./words.ts";

/** A text, maybe a way to another thing. */
export interface Item {
  readonly text: string;
  readonly choice?: Choice;
  readonly tone?: Tone;
  /** Said after it: a state that a colour alone would tell. */
  readonly note?: string;
  /** What helps. */
  readonly next?: string;
}

export interface Sheet {
  readonly kind: string;
  readonly title: string;
  readonly lines: readonly { readonly name: string; readonly items: readonly Item[] }[];
  readonly lists: readonly { readonly title: string; readonly items: readonly Item[] }[];
}

/** A thing that is gone has no sheet. */
export function sheetOf(graph: Graph, choice: Choice | undefined): Sheet | undefined {
  if (choice === undefined) return meshSheet(graph);
  if (choice.kind === "host") {
    const host = graph.hosts.find(({ key }) => key === choice.key);
    return host && hostSheet(host);
  }
  if (choice.kind === "network") {
    const network = graph.networks.find(({ name }) => name === choice.key);
    return network && networkSheet(graph, network);
  }
  const container = graph.containers.get(choice.key);
  return container && containerSheet(graph, container);
}

function meshSheet({ summary, hosts, networks, containers }: Graph): Sheet {
  const { problems, facts, hidden } = summary;
  const size = [
    count(hosts.length, "host"),
    count(networks.length, "network"),
    count(containers.size, "container"),
  ];
  const left = `${count(hidden.hosts, "host")}, ${count(hidden.endpoints, "endpoint")}`;
  const isAll = hidden.hosts + hidden.endpoints === 0;
  return {
    kind: "Mesh",
    title: size.join(", "),
    lines: [
      ...facts.map(({ name, text }) => ({ name, items: [{ text }] })),
      ...(isAll ? [] : [{ name: "Not shown", items: [{ text: left, tone: "warn" as const }] }]),
    ],
    lists: [
      {
        title: problems.length === 0 ? "Health: no problem" : "Health",
        items: problems.map(({ text, next }) => ({
          text,
          tone: "bad",
          ...(next === null ? {} : { next }),
        })),
      },
    ],
  };
}

function hostSheet(host: Host): Sheet {
  const { name, key, state, address, addresses, rttMs, self, containers } = host;
  const others = addresses.filter((other) => other !== address);
  return {
    kind: "Host",
    title: name,
    lines: filled([
      ["State", [{ text: state, tone: toneOf({ state, direct: null }) }]],
      ["Gossip", [{ text: pathText(host), tone: host.direct === false ? "warn" : "good" }]],
      ["Round trip", [{ text: self ? "" : rttText(rttMs) || "not measured" }]],
      ["Traffic", [{ text: self ? "" : trafficText(host) || noTraffic(host) }]],
      ["Address", [{ text: address || "not known" }]],
      ["Also at", others.map((text) => ({ text }))],
      ["Peer id", [{ text: key }]],
    ]),
    lists: [{ title: count(containers.length, "container"), items: containers.map(linkTo) }],
  };
}

function noTraffic({ inBytesPerSecond }: Host): string {
  return inBytesPerSecond === null ? "not counted" : "none now";
}

function networkSheet(graph: Graph, { name, rows, containers }: Network): Sheet {
  const present = new Set(rows.flatMap((row) => row.present));
  const missing = graph.hosts.filter((host) => host.state === "alive" && !present.has(host.name));
  return {
    kind: "Network",
    title: name,
    lines: filled(
      rows.flatMap((row) => [
        ["Subnet", [{ text: row.subnet }]],
        ["VNI", [{ text: String(row.vni) }]],
        ["MTU", [{ text: String(row.mtu) }]],
        ["Kind", [{ text: row.internal ? "internal: no way out" : "with a way out" }]],
        ["Conflict", row.conflicts.map((text) => ({ text, tone: "bad" as const }))],
      ]),
    ),
    lists: [
      {
        title: missing.length === 0 ? "On every live host" : "Not on these live hosts",
        items: missing.map((host) => ({ text: host.name, choice: choiceOf("host", host.key) })),
      },
      { title: count(containers.length, "container"), items: containers.map(linkTo) },
    ],
  };
}

function containerSheet(graph: Graph, container: Container): Sheet {
  const host = graph.hosts.find(({ key }) => key === container.host);
  const state = stateOf(container);
  return {
    kind: "Container",
    title: titleOf(container),
    lines: filled([
      ["State", [{ text: state, tone: endpointTone(state) }]],
      ["Host", host === undefined ? [] : [{ text: host.name, choice: choiceOf("host", host.key) }]],
      ...container.parts.flatMap((part): Line[] => [
        ["Network", [{ text: part.network, choice: choiceOf("network", part.network) }]],
        ["Address", [{ text: part.ip }]],
        ["MAC", [{ text: part.mac }]],
        ["Also called", part.aliases.map((text) => ({ text }))],
      ]),
    ]),
    lists: [],
  };
}

type Line = readonly [name: string, items: readonly Item[]];

/** Lines with something in them. */
function filled(lines: readonly Line[]): Sheet["lines"] {
  return lines
    .map(([name, items]) => ({ name, items: items.filter(({ text }) => text !== "") }))
    .filter(({ items }) => items.length > 0);
}

function linkTo(container: Container): Item {
  const state = stateOf(container);
  const item = { text: titleOf(container), choice: choiceOf("container", container.key) };
  return state === "alive" ? item : { ...item, tone: endpointTone(state), note: state };
}

function choiceOf(kind: Choice["kind"], key: string): Choice {
  return { kind, key };
}
