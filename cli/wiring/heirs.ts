/**
 * A host that lost its state comes back as another peer at the same address: its heir.
 *
 * Law: two processes cannot have one address, so once an heir is here the former peer can never
 * speak again. Its rows are dropped after a grace, in which the heir takes over the containers that
 * still run (mesh, tables/retention.ts); what it says of networks and plans counts no more at once.
 */
import { hostsOf, type Member, type PeerId } from "../../mesh/index.ts";

/** Peers that do not answer, each with the one that does at its address. */
export function replacedPeers(members: readonly Member[]): Map<Member, Member> {
  const place = (member: Member) => `${preferredHost(member)} ${member.advertise.port}`;
  const isHere = ({ state }: Member) => state === "alive";
  const here = new Map(members.filter(isHere).map((member) => [place(member), member]));
  const replaced = new Map<Member, Member>();
  for (const member of members) {
    const heir = isHere(member) ? undefined : here.get(place(member));
    if (heir !== undefined) replaced.set(member, heir);
  }
  return replaced;
}

/** The ids of `replacedPeers`. */
export function replacedIds(members: readonly Member[]): Set<PeerId> {
  return new Set([...replacedPeers(members).keys()].map(({ id }) => id));
}

/** Private addresses beside it may exist at several sites, so only this one tells a host. */
function preferredHost(member: Member): string {
  return hostsOf(member)[0] ?? member.advertise.host;
}
