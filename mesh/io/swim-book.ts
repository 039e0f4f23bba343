/**
 * Writes judged records into the package's member tables.
 *
 * Law: a later life of a peer replaces the earlier one whatever the package's own numbers say
 * (they start at zero in each life), and a leave is final even for a peer already held dead.
 */
import type Swim from "swim";
import SwimMember from "swim/lib/member.js";
import { compareLives, lifeOf, type PeerRecord } from "../membership/record.ts";
import type { PeerId } from "../ports.ts";
import { recordOf, swimData } from "./swim-data.ts";

/** Takes over a record that `judge` accepted; the package reports it as an `update`. */
export function applyRecord(swim: Swim, record: PeerRecord): void {
  const { membership } = swim;
  const { id } = record.meta;
  const held = membership.hostToMember[id] ?? membership.hostToFaulty[id];
  if (held !== undefined) {
    const isOtherLife = compareLives(lifeOf(recordOf(held.data())), lifeOf(record)) !== 0;
    if (isOtherLife) dropRecord(swim, id);
  }
  const isGone = record.state === "dead" || record.state === "left";
  if (isGone && membership.hostToMember[id] === undefined && id !== membership.local.host) {
    rememberGone(swim, record);
  } else {
    membership.onUpdate(swimData(record));
  }
}

/** The package drops a failure of a member that it does not hold; we want it listed. */
function rememberGone({ membership }: Swim, record: PeerRecord): void {
  const member = new SwimMember(swimData(record));
  membership.hostToFaulty[record.meta.id] = member;
  membership.emit("update", member.data());
}

/** Forgets a member without an event. */
export function dropRecord({ membership }: Swim, id: PeerId): void {
  delete membership.hostToMember[id];
  delete membership.hostToIterable[id];
  delete membership.hostToFaulty[id];
}
