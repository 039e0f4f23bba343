/**
 * What is known of the way from A to B, as plain data: collected thinly, judged purely.
 *
 * Law: null says "not looked at, or not to be known"; it is never taken for "nothing there".
 */
import type { AttachmentRow, ConnectionRow } from "../control/api.ts";
import type { FarLook } from "../control/look-api.ts";
import type { PathProbe } from "../doctor/path-probe.ts";
import type { LinkLook } from "./link-look.ts";

/** Everything that was found out. Parts behind the first dead end are null. */
export interface Facts {
  readonly from: string;
  readonly to: string;
  /** TCP port asked for. */
  readonly tcpPort: number | null;
  readonly source: SourceFacts;
  /** Null where B was given as an address. */
  readonly name: NameFacts | null;
  readonly target: TargetFacts | null;
  /** The owner of B's address; null where that is this host. */
  readonly peer: PeerFacts | null;
  readonly overlay: OverlayFacts | null;
  readonly plug: PlugFacts | null;
  /** Null where B is on this host. */
  readonly entries: EntryFacts | null;
  readonly underlay: UnderlayFacts | null;
  /** B's end of the wire, on whichever host. */
  readonly end: EndFacts | null;
  readonly probe: ProbeFacts | null;
}

export interface SourceFacts {
  /** A's endpoint on the network that counts; null when it has none here. */
  readonly endpoint: AttachmentRow | null;
  /** All networks that A is on. */
  readonly networks: readonly string[];
  /** Where A is instead. */
  readonly elsewhere: { readonly peer: string; readonly network: string } | null;
}

export interface NameFacts {
  /** Addresses that the zone answers A, and on which network. */
  readonly answers: readonly { readonly network: string; readonly ip: string }[];
  /** Containers of that name on networks that A is not on. */
  readonly elsewhere: readonly { readonly network: string; readonly peer: string }[];
  /** Who answers A's lookups: this daemon, nobody of ours by wish, or nobody though it should. */
  readonly resolver: "answered" | "own" | "lost";
}

export interface TargetFacts {
  readonly ip: string;
  /** Network that A shares with it; A's own where nobody has the address. */
  readonly network: string;
  /** Whether the address is in that network's subnet; null: its subnet is not known. */
  readonly inSubnet: boolean | null;
  /** Null: no endpoint has that address on A's networks. */
  readonly endpoint: {
    readonly id: string;
    readonly name: string;
    readonly mac: string;
    readonly peer: string;
    readonly vtep: string;
    readonly local: boolean;
  } | null;
  /** Others with that address on that network, and containers with it on other networks. */
  readonly twins: readonly { readonly name: string; readonly peer: string }[];
  readonly otherNetwork: { readonly network: string; readonly name: string } | null;
  /** Name of the peer whose range it is from. */
  readonly rangeOwner: string | null;
  /** Set where it is in use here and another peer's by the records. */
  readonly conflictWith: string | null;
}

export interface PeerFacts
  extends Pick<ConnectionRow, "sinceSeconds" | "direct" | "directSinceSeconds" | "fault"> {
  readonly name: string;
  readonly state: "alive" | "suspect" | "dead" | "left";
  /** Why it did not answer a question just now; null: it did. */
  readonly error: string | null;
  readonly vxlanPort: number | null;
}

export interface OverlayFacts {
  readonly netns: string | null;
  readonly exists: boolean;
  /** Why it could not be looked into. */
  readonly error: string | null;
  readonly bridge: LinkLook | null;
  readonly vxlan: LinkLook | null;
  /** As the tables say. */
  readonly vni: number | null;
  readonly vxlanPort: number;
}

export interface PlugFacts {
  /** End of A's veth pair in the overlay namespace; null: not there. */
  readonly port: LinkLook | null;
  /** Its device in A; null: no device in A has the address; undefined: A could not be entered. */
  readonly device: { readonly name: string; readonly up: boolean } | null | undefined;
  /** Device that A's route to B leads to; null: no route; undefined: not looked at. */
  readonly route: string | null | undefined;
  /** Why A could not be entered. */
  readonly error: string | null;
}

/** One table entry of the kernel; `found` is null when there is none. */
export interface Entry {
  readonly wanted: string;
  readonly found: string | null;
}

export interface EntryFacts {
  readonly neighbour: Entry;
  readonly forward: Entry;
  /** br0's own entry, which leads to vxlan0. */
  readonly steer: Entry;
}

export interface UnderlayFacts extends PathProbe {
  readonly address: string;
  /** What the largest packet of a container needs. */
  readonly neededBytes: number;
}

export interface EndFacts {
  /** After the probe; null: it could not be looked at. */
  readonly look: FarLook | null;
  readonly error: string | null;
  /** Packets that went to B and came from it during the probe; null: not counted. */
  readonly delivered: number | null;
  readonly answered: number | null;
}

export interface ProbeFacts {
  readonly icmp: PathProbe;
  readonly mtuBytes: number;
  readonly tcp: TcpProbe | null;
}

export interface TcpProbe {
  readonly outcome: "open" | "refused" | "silent" | "failed";
  readonly tookMs: number | null;
  readonly error: string | null;
}
