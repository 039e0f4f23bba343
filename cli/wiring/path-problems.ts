/**
 * Peers that are well and yet not in reach: behind something that lets no packet through from here,
 * or with a data path of the other IP version.
 */
import { isIP } from "node:net";
import { hostsOf, type Member, type PathFault } from "../../mesh/index.ts";
import type { HealthProblem } from "../control/api.ts";
import { duration } from "../render/human.ts";

export interface PathPorts {
  readonly gossip: number;
  readonly vxlan: number;
}

/** Peers named one by one; a host that is cut off from a hundred has one problem. */
const NAMED_MAX = 8;

const FAULTS: Readonly<Record<PathFault, string>> = {
  silent: "it does not answer pings from here",
  refused: "it refuses connections from here",
  "tcp-only": "TCP passes, UDP does not",
};

/** No direct path, no common IP version. */
export function pathProblems(
  members: readonly Member[],
  ports: PathPorts,
  nowMs: number,
): HealthProblem[] {
  const live = members.filter(({ self, state }) => !self && state === "alive");
  const own = members.find(({ self }) => self);
  const unreached = live.filter(({ path }) => path?.isDirect === false);
  const other = own === undefined ? [] : live.filter((member) => version(member) !== version(own));
  const next = "tsweave status connections";
  return [
    ...unreached.slice(0, NAMED_MAX).map((member) => unreachedProblem(member, ports, nowMs)),
    ...more("NO_DIRECT_PATH", unreached, "have no direct path", next),
    ...other.slice(0, NAMED_MAX).map((member) => versionProblem(member, own ?? member)),
    ...more("UNDERLAY_DIFFERS", other, "use another IP version", next),
  ];
}

function unreachedProblem(
  { name, advertise: { host }, path }: Member,
  ports: PathPorts,
  nowMs: number,
): HealthProblem {
  const since = duration((nowMs - (path?.sinceMs ?? nowMs)) / 1000);
  const why = `${FAULTS[path?.why ?? "silent"]}, only other peers reach it`;
  const meaning = "containers there cannot be reached from here";
  return {
    code: "NO_DIRECT_PATH",
    text: `no direct path to ${name} (${host}) since ${since}: ${why}; ${meaning}`,
    next: `ping ${host}, and let UDP ${ports.gossip} and ${ports.vxlan} pass between the two hosts`,
  };
}

function versionProblem(member: Member, own: Member): HealthProblem {
  const theirs = version(member);
  const over = `over IPv${theirs}, this host's over IPv${version(own)}`;
  const meaning = "neither reaches the other's containers";
  return {
    code: "UNDERLAY_DIFFERS",
    text: `container traffic of ${member.name} goes ${over}: ${meaning}`,
    next: "name an address of one IP version first with --advertise on all hosts",
  };
}

function version(member: Pick<Member, "advertise" | "hosts">): number {
  return isIP(hostsOf(member)[0] ?? "");
}

function more(code: string, all: readonly unknown[], what: string, next: string): HealthProblem[] {
  const rest = all.length - NAMED_MAX;
  return rest <= 0 ? [] : [{ code, text: `${rest} more peers ${what}`, next }];
}
