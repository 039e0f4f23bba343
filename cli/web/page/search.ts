/** What a search finds: every word must be part of what is known of a thing. */
import type { Container, Graph, Host, Network } from "./graph.ts";

/** Keys of containers and hosts, names of networks; undefined while nothing is searched for. */
export interface Found {
  readonly hosts: ReadonlySet<string>;
  readonly networks: ReadonlySet<string>;
  readonly containers: ReadonlySet<string>;
}

export function find(graph: Graph, query: string): Found | undefined {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return undefined;
  const has = (text: readonly string[]): boolean => {
    const hay = text.join(" ").toLowerCase();
    return words.every((word) => hay.includes(word));
  };
  const names = new Map(graph.hosts.map(({ key, name }) => [key, name]));
  const containers = [...graph.containers.values()].filter((one) =>
    has(containerText(one, names.get(one.host) ?? "")),
  );
  return {
    hosts: new Set(graph.hosts.filter((host) => has(hostText(host))).map(({ key }) => key)),
    networks: new Set(graph.networks.filter((one) => has(networkText(one))).map((one) => one.name)),
    containers: new Set(containers.map(({ key }) => key)),
  };
}

function hostText({ name, key, addresses, state }: Host): string[] {
  return [name, key, ...addresses, state];
}

function networkText({ name, rows }: Network): string[] {
  return [name, ...rows.flatMap(({ subnet, vni }) => [subnet, String(vni)])];
}

function containerText({ name, parts }: Container, host: string): string[] {
  const known = parts.flatMap(({ network, aliases, ip, mac, state }) => {
    return [network, ...aliases, ip, mac, state];
  });
  return [name, host, ...known];
}
