/**
 * What this host measures towards others for `tsweave test`, here or at another host's wish.
 *
 * Law: to each target one question over the stream port and at most some sixty echoes, four targets
 * at a time; what could not be measured is null with the reason, and hides nothing else.
 */
import type { ControlBackend, PeerAnswer } from "../control/api.ts";
import type { ProbeRow } from "../control/probe-api.ts";
import { probePath } from "./path-probe.ts";
import { hostOf } from "./ping.ts";

const AT_ONCE = 4;

type Facts = Pick<
  ControlBackend,
  "status" | "host" | "endpoints" | "networks" | "connections" | "ps"
>;

export interface ProbePorts {
  readonly facts: Facts;
  /** Asks one peer over the stream port. Never rejects. */
  readonly ask: (peer: string) => Promise<PeerAnswer>;
}

/** A row a target, in their order. `to`: ids. Never rejects. */
export async function probePeers(ports: ProbePorts, to: readonly string[]): Promise<ProbeRow[]> {
  const rows: ProbeRow[] = [];
  const left = to.map((id, at) => ({ id, at }));
  const work = async (): Promise<void> => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) {
      rows[one.at] = await probe(ports, one.id);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return rows;
}

async function probe({ facts, ask }: ProbePorts, to: string): Promise<ProbeRow> {
  const from = facts.status().peer.id;
  const link = facts.connections().find(({ id }) => id === to);
  const nothing = { from, to, streamMs: null, underlay: null, tunnelBytes: null, tunnel: null };
  if (link === undefined) {
    const unknown = { gossip: null, direct: null, rttMs: null };
    return { ...nothing, ...unknown, error: "it does not know that peer" };
  }
  const neededBytes = needed(facts);
  const [answer, underlay, tunnel] = await Promise.all([
    ask(to),
    probePath(hostOf(link.address), neededBytes),
    tunnelTo(facts, link.peer),
  ]);
  const { state: gossip, direct, rttMs, mtuBytes: tunnelBytes } = link;
  const streamMs = answer.error === null ? answer.tookMs : null;
  const gauged = { underlay: { ...underlay, neededBytes }, tunnelBytes, tunnel };
  return { ...nothing, gossip, direct, rttMs, streamMs, ...gauged, error: null };
}

/** The largest packet that a container here may cause on the underlay. */
function needed(facts: Facts): number {
  const { address, underlayMtuBytes } = facts.host();
  const mtus = facts.networks().map(({ mtu }) => mtu);
  const overhead = address.includes(":") ? 70 : 50;
  return mtus.length === 0 ? underlayMtuBytes : Math.max(...mtus) + overhead;
}

/** From something here to something there on one network; null where there is no such pair. */
async function tunnelTo(facts: Facts, peer: string): Promise<ProbeRow["tunnel"]> {
  const there = facts.endpoints().filter((row) => row.peer === peer && row.state === "alive");
  for (const { place, networks } of places(facts)) {
    const target = there.find(({ network }) => networks.includes(network));
    const mtu = facts.networks().find(({ name }) => name === target?.network)?.mtu;
    if (target === undefined || mtu === undefined) continue;
    const path = await probePath(target.ip, mtu, place);
    return { ...path, neededBytes: mtu, network: target.network };
  }
  return null;
}

/** Namespaces of this host's endpoints that can be entered. */
function places(facts: Facts): { place: string; networks: readonly string[] }[] {
  const sandboxes = facts.host().sandboxes.map(({ key, networks }) => ({ place: key, networks }));
  const attached = facts.ps().flatMap(({ kind, target, network }) => {
    if (kind === "netns") return [{ place: target, networks: [network] }];
    if (kind !== "process") return [];
    return [{ place: `/proc/${target}/ns/net`, networks: [network] }];
  });
  return [...sandboxes, ...attached];
}
