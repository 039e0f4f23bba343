/** Facts → steps from this host to B: its peer, table entries, underlay, B's end. Pure. */
import { duration, milliseconds } from "../render/human.ts";
import type { Entry, EntryFacts, Facts, PeerFacts } from "./facts.ts";
import { type CauseCode, judge, type Step } from "./step.ts";

/** The peer that has B, as this host sees it. */
export function peerStep({ peer }: Facts): Step | undefined {
  if (peer === null) return undefined;
  const { ok, failed } = judge("peer", peer);
  const { name, state, sinceSeconds, direct, directSinceSeconds, error } = peer;
  const since = duration(sinceSeconds);
  if (state === "left") {
    return failed("PEER_LEFT", `${name} has left the mesh, ${since} ago`, `tsweave launch there`);
  }
  if (state === "dead") {
    const text = `the daemon on ${name} is gone for ${since}`;
    return failed("PEER_DEAD", text, `on ${name}: tsweave launch, or tsweave doctor`);
  }
  if (state === "suspect") {
    const text = `${name} does not answer for ${since}, and is being checked`;
    return failed("PEER_SUSPECT", text, `tsweave ping ${name}`);
  }
  if (direct === false) {
    const text = `only other peers reach ${name}, for ${duration(directSinceSeconds ?? 0)}`;
    return failed("NO_DIRECT_PATH", `${text}: ${peer.fault ?? "silent"}`, `tsweave ping ${name}`);
  }
  const path = direct === null ? "not measured yet" : "directly";
  const stream = error === null ? "" : `; a question over TCP failed: ${error}`;
  return ok(`${name} is alive for ${since}, reached ${path}${stream}`);
}

const ENTRIES: readonly {
  readonly key: keyof EntryFacts;
  readonly what: string;
  readonly missing: CauseCode;
  readonly wrong: CauseCode;
}[] = [
  {
    ...{ key: "neighbour", what: "neigh entry" },
    ...{ missing: "NEIGHBOUR_MISSING", wrong: "NEIGHBOUR_WRONG" },
  },
  {
    ...{ key: "forward", what: "FDB entry of vxlan0" },
    ...{ missing: "FORWARD_MISSING", wrong: "FORWARD_WRONG" },
  },
  {
    ...{ key: "steer", what: "FDB entry of br0" },
    ...{ missing: "STEER_MISSING", wrong: "STEER_WRONG" },
  },
];

/** The kernel's entries for B against the tables. */
export function entriesStep({ entries, target, overlay }: Facts): Step | undefined {
  if (entries === null || target === null) return undefined;
  const { ok, failed } = judge("entries", entries);
  const netns = overlay?.netns ?? "";
  const odd = ENTRIES.filter(({ key }) => entries[key].found !== entries[key].wanted);
  const [first] = odd;
  if (first === undefined) {
    const { neighbour, forward, steer } = entries;
    const how = steer.found === "direct" ? " directly, without a tunnel" : "";
    return ok(`${target.ip} -> ${neighbour.wanted} -> ${forward.wanted}${how}, as the tables say`);
  }
  const { key, what, missing, wrong } = first;
  const text = odd.map((one) => entryText(one.what, entries[one.key])).join("; ");
  const code = entries[key].found === null ? missing : wrong;
  const show = what.startsWith("neigh")
    ? `ip -n ${netns} neigh show dev vxlan0`
    : `bridge -n ${netns} fdb show`;
  return failed(code, text, `${show}; the daemon mends it within 30 s, else tsweave doctor`);
}

function entryText(what: string, { wanted, found }: Entry): string {
  if (found === null) return `the ${what} (${wanted}) is missing`;
  return found === wanted ? "" : `the ${what} says ${found}, not ${wanted}`;
}

/** Packets between the two hosts. */
export function underlayStep({ underlay, peer }: Facts): Step | undefined {
  if (underlay === null) return undefined;
  const { ok, failed, unknown } = judge("underlay", underlay);
  const { address, rttMs, largestBytes, error, neededBytes } = underlay;
  if (error !== null) {
    const isSilent = error === "no echo comes back" || /unreachable/i.test(error);
    if (!isSilent) return unknown(`${address} could not be probed: ${error}`);
    if (peer?.error === null) return unknown(`${address} answers TCP, and no pings`);
    const who = peer === null || peer.state === "alive" ? "" : `; ${peerWord(peer)}`;
    const text = `nothing comes back from ${address}: that host is off, or the path to it${who}`;
    return failed("UNDERLAY_SILENT", text, `ping ${address}; check that host and its network`);
  }
  if (largestBytes !== null && largestBytes >= neededBytes) {
    const size = `packets of ${neededBytes} bytes pass`;
    return ok(`${address} answers in ${milliseconds(rttMs)}, ${size}`);
  }
  const most = largestBytes === null ? "only small packets" : `packets up to ${largestBytes} bytes`;
  const text = `to ${address} ${most} pass, containers need ${neededBytes}`;
  return failed("UNDERLAY_NARROW", text, "launch all hosts with a smaller --mtu");
}

function peerWord({ name, state, sinceSeconds }: PeerFacts): string {
  return `${name} is ${state} for ${duration(sinceSeconds)}`;
}

/** The tunnel's other end: the same port and VNI, and up. */
export function tunnelStep({ peer, overlay, end }: Facts): Step | undefined {
  if (peer === null || overlay === null) return undefined;
  const { ok, failed, unknown } = judge("tunnel", { vxlanPort: peer.vxlanPort, ...end?.look });
  const theirs = peer.vxlanPort;
  if (theirs !== null && theirs !== overlay.vxlanPort) {
    const text = `${peer.name} has --vxlan-port ${theirs}, this host ${overlay.vxlanPort}`;
    return failed("PEER_VXLAN_PORT_DIFFERS", text, "launch all hosts with the same --vxlan-port");
  }
  const look = end?.look ?? null;
  if (look === null) return unknown(`${peer.name} could not be asked about its end`);
  if (look.vxlan !== "up") {
    const state = look.vxlan === "down" ? "is down" : "is not there";
    const text = `vxlan0 of the network on ${peer.name} ${state}`;
    return failed("PEER_VXLAN_DOWN", text, `on ${peer.name}: tsweave status, tsweave logs`);
  }
  if (overlay.vxlan?.vni != null && look.vni !== overlay.vxlan.vni) {
    const text = `${peer.name} has VNI ${look.vni}, this host ${overlay.vxlan.vni}`;
    return failed("PEER_VNI_DIFFERS", text, "tsweave status networks, on both hosts");
  }
  return ok(`vxlan0 on ${peer.name} is up, VNI ${look.vni}, UDP ${look.vxlanPort}`);
}

/** B's veth pair, on whichever host. */
export function endStep({ to, end, peer, target }: Facts): Step | undefined {
  if (end === null || target === null) return undefined;
  const { ok, failed, unknown } = judge("end", end);
  const { look, error } = end;
  const where = peer === null ? "" : ` on ${peer.name}`;
  if (look === null) return unknown(`${to}'s end${where} could not be looked at: ${error}`);
  const on = peer === null ? "" : `on ${peer.name}: `;
  if (look.port === "missing") {
    const text = `${to} is not plugged into the network${where}`;
    return failed("TARGET_UNPLUGGED", text, `${on}docker restart, or detach and attach ${to}`);
  }
  if (look.port === "down") {
    const text = `the interface of ${to}${where} is down`;
    return failed("TARGET_DOWN", text, `${on}tsweave netns ${to} -- ip link`);
  }
  return ok(`${to} is plugged in${where}`);
}
