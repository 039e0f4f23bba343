/**
 * Giving this host's mesh up, as the command means it: a word becomes a peer, and containers are
 * known by their names.
 *
 * Law: who asks what would happen changes nothing.
 */
import type { IpAlloc } from "../../ipalloc/index.ts";
import type { Member } from "../../mesh/index.ts";
import type { AdoptionReply, AdoptionWish, EndpointRow } from "../control/api.ts";
import { peerNamed } from "./departures.ts";
import type { OpenMesh } from "./mesh.ts";
import { type Keeper, twiceRows } from "./twice.ts";

export interface AdoptionPorts {
  readonly mesh: OpenMesh;
  readonly alloc: IpAlloc;
}

/** What the wish would do, or with `isPlan` false, what it did. */
export async function adopted(
  { mesh, alloc }: AdoptionPorts,
  { peer: word, isPlan }: AdoptionWish,
  endpoints: () => readonly EndpointRow[],
): Promise<AdoptionReply> {
  const members = mesh.node.membership.members();
  const places = new Map(members.map(({ id, advertise }) => [id, advertise]));
  const known = members.map(({ id, name }) => ({ peer: id, name }));
  const peer = peerNamed(word, known, places);
  if (!isPlan) {
    const result = await alloc.giveUp(peer);
    const twice = twiceRows(endpoints(), keeperOf(alloc, mesh.node.membership.members()));
    return { ...result, twice };
  }
  const plan = alloc.planAdoption(peer);
  const stay = new Set(plan.adopters);
  const staying: Keeper = (ip) =>
    endpoints().find((row) => row.ip === ip && stay.has(row.peer))?.peer;
  const text = `mesh ${plan.mesh} is to be adopted by mesh ${plan.into}`;
  return {
    ...plan,
    state: "planned",
    waitingFor: [],
    text,
    twice: twiceRows(endpoints(), staying),
  };
}

/** By the records of who owns an address. */
export function keeperOf(alloc: IpAlloc, members: readonly Member[]): Keeper {
  const names = new Map(members.map(({ id, name }) => [id, name]));
  return (ip) => {
    const owner = alloc.ownerOf(ip);
    return owner === undefined ? undefined : (names.get(owner) ?? owner);
  };
}
