/**
 * Collects the facts of the way from A to B, each part as far as the ones before it lead.
 *
 * Law: it looks and sends some forty packets to B and its host; it changes nothing. What cannot be
 * looked at is null with the reason, and hides nothing else.
 */
import { isIP } from "node:net";
import { asTsweaveError, messageOf, TsweaveError } from "../../mesh/index.ts";
import { overlayEnd } from "../../overlay/index.ts";
import type { AttachmentRow, ConnectionRow, HostFacts } from "../control/api.ts";
import type { ControlClient } from "../control/client.ts";
import type { FarLook } from "../control/look-api.ts";
import { probePath } from "../doctor/path-probe.ts";
import { hostOf } from "../doctor/ping.ts";
import {
  nameFacts,
  networkOf,
  networkRow,
  ownEndpoints,
  sourceFacts,
  type Tables,
  targetFacts,
} from "./choose.ts";
import type { EndFacts, Facts, NameFacts, PeerFacts, TargetFacts } from "./facts.ts";
import { lookAtEntries, lookAtOverlay, lookInside, type Place } from "./kernel-look.ts";
import { farLook, lookAtLinks } from "./link-look.ts";
import { probeTcp } from "./tcp-probe.ts";

/** Each sends two packets where nothing comes back. */
const MORE_PROBES = 4;

/** What is to be explained. */
export interface Wish {
  readonly from: string;
  readonly to: string;
  readonly tcpPort: number | null;
  readonly network: string | undefined;
}

/** What is known before the first look. */
interface Known {
  readonly client: ControlClient;
  readonly tables: Tables;
  readonly host: HostFacts;
  readonly connections: readonly ConnectionRow[];
}

/** @throws TsweaveError as the control client's reads */
export async function collect(client: ControlClient, wish: Wish): Promise<Facts> {
  const known = await readKnown(client);
  const { tables } = known;
  const { from, to, tcpPort, network } = wish;
  const mine = ownEndpoints(from, tables);
  const nothing = {
    ...{ from, to, tcpPort, name: null, target: null, peer: null, overlay: null, plug: null },
    ...{ entries: null, underlay: null, end: null, probe: null },
  };
  const given = sourceFacts(from, mine, tables, network);
  if (given.endpoint === null) return { ...nothing, source: given };
  const networks = network === undefined ? given.networks : [network];
  const inside = await placeOf(client, given.endpoint, from);
  const name =
    isIP(to) > 0
      ? null
      : await named(known, wish, networks, resolverOf(known, given.endpoint, inside));
  const [answer] = name?.answers ?? [];
  const ip = name === null ? to : answer?.ip;
  if (ip === undefined) return { ...nothing, source: given, name };
  const target = targetFacts(ip, answer?.network ?? networkOf(ip, networks, tables), tables);
  const source = sourceFacts(from, mine, tables, target.network);
  const way = await lookAtWay(known, wish, source.endpoint ?? given.endpoint, target, inside);
  return { ...nothing, source, name, target, ...way };
}

async function readKnown(client: ControlClient): Promise<Known> {
  const [status, ps, endpoints, networks, ipam, connections, host] = await Promise.all([
    ...([client.status(), client.ps(), client.read("endpoints"), client.read("networks")] as const),
    ...([client.read("ipam"), client.read("connections"), client.host()] as const),
  ]);
  const tables: Tables = {
    own: ps.endpoints,
    endpoints: endpoints.endpoints,
    networks: networks.networks,
    pools: ipam.pools,
    domain: status.dns.domain,
    self: status.peer.name,
  };
  return { client, tables, host, connections: connections.connections };
}

/** A's namespace: a path, undefined for the host's own, or why it is not known. */
type Inside = { readonly place: Place } | { readonly error: string };

async function placeOf(
  client: ControlClient,
  { kind, target }: AttachmentRow,
  word: string,
): Promise<Inside> {
  if (kind === "host") return { place: undefined };
  if (kind === "netns") return { place: target };
  if (kind === "process") return { place: `/proc/${target}/ns/net` };
  const words = isIP(word) > 0 || word === target ? [target] : [word, target];
  const errors: string[] = [];
  for (const one of words) {
    try {
      return { place: await client.locate(one) };
    } catch (error) {
      errors.push(messageOf(error));
    }
  }
  return { error: errors[0] ?? "its namespace is not known" };
}

/** Who answers A's lookups. */
function resolverOf(
  { host }: Known,
  { kind, resolver }: AttachmentRow,
  inside: Inside,
): NameFacts["resolver"] {
  if (kind === "host" || resolver === "none" || !host.config.dns) return "own";
  if (!("place" in inside)) return "answered";
  const plain = (path: string | undefined) => path?.replace(/^\/var\/run\//, "/run/");
  const isHooked = host.sandboxes.some(({ key }) => plain(key) === plain(inside.place));
  return isHooked ? "answered" : "lost";
}

async function named(
  { client, tables }: Known,
  { to }: Wish,
  networks: readonly string[],
  resolver: NameFacts["resolver"],
): Promise<NameFacts> {
  const answers: { network: string; ip: string }[] = [];
  for (const network of networks) {
    try {
      const reply = await client.dnsLookup({ name: to, type: "A", network });
      answers.push(...reply.answers.map(({ data }) => ({ network, ip: data })));
    } catch (error) {
      const { code } = asTsweaveError(error);
      if (code !== "NOT_FOUND" && code !== "USAGE") throw error;
    }
  }
  return nameFacts(to, answers, resolver, networks, tables);
}

type Way = Pick<Facts, "peer" | "overlay" | "plug" | "entries" | "underlay" | "end" | "probe">;

/** Everything below names and addresses: one look, the probe, another look at B's end. */
async function lookAtWay(
  known: Known,
  wish: Wish,
  own: AttachmentRow,
  target: TargetFacts,
  inside: Inside,
): Promise<Way> {
  const { host, tables } = known;
  const { endpoint } = target;
  const row = networkRow(own.network, tables);
  const netns = host.namespaces.find(({ network }) => network === own.network)?.namespace;
  const ids = endpoint?.local === true ? [own.id, endpoint.id] : [own.id];
  const wanted = { vni: row?.vni ?? null, vxlanPort: host.config.vxlanPort };
  const mtuBytes = row?.mtu ?? 1280;
  const far = endpoint === null || endpoint.local ? undefined : endpoint;
  const link = known.connections.find(({ peer }) => peer === far?.peer);
  const vtep = far === undefined ? undefined : vtepOf(far.vtep, link);
  const isOutside = target.inSubnet === false;
  const [seen, within, peer, underlay, before] = await Promise.all([
    lookAtOverlay(netns, ids, wanted),
    "place" in inside
      ? lookInside(inside.place, own.ip, target.ip)
      : { device: undefined, route: undefined, error: inside.error },
    far === undefined ? null : peerFacts(known, far.peer, link),
    vtep === undefined ? null : underlayTo(vtep, mtuBytes, host),
    lookAtEnd(known, target, netns, link),
  ]);
  const entries =
    far === undefined || vtep === undefined || netns === undefined || !seen.overlay.exists
      ? null
      : await lookAtEntries(netns, target, { mac: far.mac, vtep });
  const probe = "place" in inside ? await probeFrom(inside.place, wish, target.ip, mtuBytes) : null;
  const after = "look" in before ? await lookAtEnd(known, target, netns, link) : before;
  return {
    ...{ peer, entries, underlay, probe },
    overlay: isOutside ? null : seen.overlay,
    plug: { port: seen.ports.get(own.id) ?? null, ...within },
    end: endpoint === null ? null : endFacts(before, after),
  };
}

async function probeFrom(place: Place, { tcpPort }: Wish, ip: string, mtuBytes: number) {
  const icmp = await probePath(ip, mtuBytes, place);
  // More of the same, so that the counters at B's end stand out from other packets of B's.
  const more = icmp.error === null ? [] : Array.from({ length: MORE_PROBES });
  await Promise.all(more.map(() => probePath(ip, mtuBytes, place)));
  return { icmp, mtuBytes, tcp: tcpPort === null ? null : await probeTcp(place, ip, tcpPort) };
}

/** Where frames for that peer go from here: the address in use, as the row's IP version allows. */
function vtepOf(written: string, link: ConnectionRow | undefined): string {
  if (link === undefined) return written;
  const usable = [link.address, ...link.addresses].map(hostOf);
  return usable.find((host) => isIP(host) === isIP(written)) ?? written;
}

const STATES = { established: "alive", doubtful: "suspect", lost: "dead", closed: "left" } as const;

async function peerFacts(
  { client }: Known,
  name: string,
  link: ConnectionRow | undefined,
): Promise<PeerFacts> {
  if (link === undefined) {
    const unknown = { sinceSeconds: 0, direct: null, directSinceSeconds: null, fault: null };
    return { name, state: "dead", ...unknown, error: "it is not known", vxlanPort: null };
  }
  const { sinceSeconds, direct, directSinceSeconds, fault } = link;
  const state = STATES[link.state];
  const facts = { name, state, sinceSeconds, direct, directSinceSeconds, fault };
  if (state === "left") return { ...facts, error: "it has left", vxlanPort: null };
  try {
    const [answer] = await client.ask(link.id);
    const error = answer === undefined ? "it is not known" : answer.error;
    return { ...facts, error, vxlanPort: answer?.vxlanPort ?? null };
  } catch (error) {
    return { ...facts, error: messageOf(error), vxlanPort: null };
  }
}

async function underlayTo(address: string, mtuBytes: number, host: HostFacts) {
  const neededBytes = mtuBytes + (address.includes(":") ? 70 : 50);
  const most = Math.max(neededBytes, host.underlayMtuBytes);
  return { address, neededBytes, ...(await probePath(address, most)) };
}

type Look = { readonly look: FarLook } | { readonly error: string };

/** B's end of the wire and its counters; on another host that host is asked. Never rejects. */
async function lookAtEnd(
  { client }: Known,
  { endpoint, network }: TargetFacts,
  netns: string | undefined,
  link: ConnectionRow | undefined,
): Promise<Look> {
  try {
    if (endpoint === null) throw new TsweaveError("NOT_FOUND", "nobody has the address");
    const { id, local } = endpoint;
    if (local) return { look: await lookHere(netns, id) };
    if (link === undefined) throw new TsweaveError("PEER_UNREACHABLE", "its host is not known");
    const { port, vxlan, vni, vxlanPort, toPackets, fromPackets } = await client.look({
      ...{ peer: link.id, network, id },
    });
    return { look: { port, vxlan, vni, vxlanPort, toPackets, fromPackets } };
  } catch (error) {
    return { error: messageOf(error) };
  }
}

async function lookHere(netns: string | undefined, id: string): Promise<FarLook> {
  if (netns === undefined) throw new TsweaveError("NOT_FOUND", "its namespace is not known");
  const device = overlayEnd(id);
  const links = await lookAtLinks(netns, [device, "vxlan0"]);
  return farLook(links.get(device) ?? null, links.get("vxlan0") ?? null);
}

function endFacts(before: Look, after: Look): EndFacts {
  if (!("look" in after)) {
    return { look: null, error: after.error, delivered: null, answered: null };
  }
  const { look } = after;
  const since = "look" in before ? before.look : undefined;
  // A pair that was made meanwhile begins at nothing.
  const isSame = since !== undefined && since.toPackets <= look.toPackets;
  const delivered = isSame ? look.toPackets - since.toPackets : null;
  const answered = isSame ? look.fromPackets - since.fromPackets : null;
  return { look, error: null, delivered, answered };
}
