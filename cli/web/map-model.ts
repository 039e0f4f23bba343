/**
 * The map's rows from the facts of the control API.
 *
 * Law: from memory only, as every read; bounded, and what is left out is counted. Figures that
 * change all the time are rounded or left out, so that only news is streamed.
 */
import type { EndpointRow, PeerRow, Status } from "../control/api.ts";
import type { ReadBackend } from "../control/reads.ts";
import type { MapEndpoint, MapHost, MapModel, MapSummary } from "./page/model.ts";

export type MapFacts = Pick<
  ReadBackend,
  "status" | "peers" | "connections" | "networks" | "endpoints"
>;

/** More than a screen can show; about 2 MB of rows. */
export const HOSTS_MAX = 1000;
export const ENDPOINTS_MAX = 5000;

/** What the map shows now. */
export function mapModel(facts: MapFacts): MapModel {
  const status = facts.status();
  const peers = hostRows(facts);
  const rows = facts.endpoints();
  const found = hostFinder(facts.peers());
  const endpoints = rows.slice(0, ENDPOINTS_MAX).map((row) => endpoint(row, found(row)));
  const hosts = [...peers, ...untoldHosts(peers, endpoints, rows)];
  const kept = hosts.slice(0, HOSTS_MAX);
  const keys = new Set(kept.map(({ key }) => key));
  const shown = unique(endpoints.filter(({ host }) => keys.has(host)));
  const hidden = { hosts: hosts.length - kept.length, endpoints: rows.length - shown.length };
  const networks = facts.networks().map(({ ...row }) => ({
    key: `${row.name} ${row.subnet}`,
    ...row,
  }));
  return {
    summary: summary(status, hidden),
    hosts: unique(kept),
    networks: unique(networks),
    endpoints: shown,
  };
}

function summary(status: Status, hidden: MapSummary["hidden"]): MapSummary {
  const { version, peer, health, mesh, ipam, dns, docker, kernel } = status;
  const engine = docker.connected ? `engine ${docker.version ?? "?"}` : "engine not reachable";
  const address = `${peer.name}, ${peer.advertise}`;
  const sealed = mesh.encrypted ? "encrypted" : "not encrypted";
  return {
    version,
    self: peer.id,
    problems: health.problems.map(({ code, text, next }) => ({ code, text, next })),
    facts: [
      { name: "Seen from", text: address },
      { name: "Mesh", text: `engine ${mesh.engine}, ${sealed}` },
      { name: "Addresses", text: ipam.founded ? ipam.subnet : `${ipam.subnet}, ${ipam.text}` },
      { name: "Names", text: dns.enabled ? dns.domain : "off" },
      { name: "Docker", text: docker.enabled ? engine : "off" },
      { name: "Kernel", text: kernel.inSync ? "in sync" : "out of sync" },
      { name: "Version", text: version },
    ],
    hidden,
  };
}

function hostRows(facts: MapFacts): MapHost[] {
  const links = new Map(facts.connections().map((link) => [link.id, link]));
  return facts.peers().map(({ id, name, address, state, self, rttMs }) => {
    const link = links.get(id);
    return {
      key: id,
      name,
      address,
      addresses: link?.addresses ?? [address],
      state,
      self,
      rttMs: rounded(rttMs),
      direct: link?.direct ?? null,
      fault: link?.fault ?? null,
      inBytesPerSecond: rounded(link?.traffic?.inBytesPerSecond ?? null),
      outBytesPerSecond: rounded(link?.traffic?.outBytesPerSecond ?? null),
    };
  });
}

function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(2));
}

/** The key of an endpoint's host: rows name their peer, and two peers may have one name. */
function hostFinder(peers: readonly PeerRow[]): (row: EndpointRow) => string {
  const named = new Map<string, PeerRow[]>();
  for (const peer of peers) named.set(peer.name, [...(named.get(peer.name) ?? []), peer]);
  return ({ peer, vtep, local }) => {
    const some = named.get(peer) ?? [];
    const [first] = some;
    const match = some.find(({ self, address }) => (local ? self : hostOf(address) === vtep));
    return (match ?? first)?.id ?? peer;
  };
}

function hostOf(address: string): string {
  return address.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
}

function endpoint(row: EndpointRow, host: string): MapEndpoint {
  const { id, network, name, aliases, ip, mac, state } = row;
  return { key: `${host}/${id}`, host, network, name, aliases, ip, mac, state };
}

/** Hosts of which only endpoints are known: rows of peers that membership has forgotten. */
function untoldHosts(
  hosts: readonly MapHost[],
  endpoints: readonly MapEndpoint[],
  rows: readonly EndpointRow[],
): MapHost[] {
  const known = new Set(hosts.map(({ key }) => key));
  const untold = new Map<string, MapHost>();
  endpoints.forEach(({ host }, at) => {
    if (known.has(host) || untold.has(host)) return;
    const name = rows[at]?.peer ?? host;
    const row = {
      key: host,
      name,
      address: "",
      addresses: [],
      state: "dead",
      self: false,
    } as const;
    const unknown = { inBytesPerSecond: null, outBytesPerSecond: null };
    untold.set(host, { ...row, rttMs: null, direct: null, fault: null, ...unknown });
  });
  return [...untold.values()];
}

/** One row a key: the page holds its rows by key. */
function unique<Row extends { readonly key: string }>(rows: readonly Row[]): Row[] {
  return [...new Map(rows.map((row) => [row.key, row])).values()];
}
