/** Members as the probe network knows them. */
import { isIP } from "node:net";
import { hostsOf, type Member } from "../../mesh/index.ts";
import type { ProbePeer } from "../../overlay/index.ts";

/** Those that are here and answer directly, each with its addresses of the kind that is in use. */
export function probePeers(members: readonly Member[]): ProbePeer[] {
  return members
    .filter(({ self, state, path }) => !self && state === "alive" && path?.isDirect !== false)
    .map((member) => {
      const vtep = member.advertise.host;
      const hosts = hostsOf(member).filter((host) => isIP(host) === isIP(vtep));
      return { peer: member.id, vtep, hosts };
    });
}
