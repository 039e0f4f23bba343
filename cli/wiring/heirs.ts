/**
 * A host that lost its state comes back as another peer at the same address: its heir.
 *
 * Law: two processes cannot have one address, so once an heir is here the former peer can never
 * speak again, and its last rows stand for nothing. Its entries go after the grace, in which the
 * heir takes over the containers that still run.
 */
import {
  type Clock,
  hostsOf,
  LIMITS,
  type Member,
  type PeerId,
  type Presence,
  TIMES,
} from "../../mesh/index.ts";

/** Whose rows count, as Presence says it. */
export type Verdicts = Pick<Presence, "entriesCount">;

/** Members change rarely; rows ask by the thousand. */
const LOOK_AGAIN_MS = 500;

export interface HeirsPorts {
  readonly presence: Verdicts;
  readonly clock: Clock;
  readonly members: () => readonly Member[];
  /** Peers that have endpoint rows and the underlay address that these name. */
  readonly vteps: () => ReadonlyMap<PeerId, string>;
}

export class Heirs implements Verdicts {
  readonly #ports: HeirsPorts;
  readonly #startedMs: number;
  /** BOUNDED: peersMax. */
  readonly #disowned = new Set<PeerId>();
  #lookedMs = Number.NEGATIVE_INFINITY;

  constructor(ports: HeirsPorts) {
    this.#ports = ports;
    this.#startedMs = ports.clock.nowMs();
  }

  entriesCount(peer: PeerId): boolean {
    return this.#ports.presence.entriesCount(peer) && !this.disowned(peer);
  }

  /**
   * Whether a peer has had an heir for the whole grace; so it stays, whatever becomes of the heir,
   * until the peer itself is here again. At most half a second old.
   */
  disowned(peer: PeerId): boolean {
    const nowMs = this.#ports.clock.nowMs();
    if (nowMs - this.#lookedMs >= LOOK_AGAIN_MS) {
      this.#lookedMs = nowMs;
      this.#look(nowMs);
    }
    return this.#disowned.has(peer);
  }

  #look(nowMs: number): void {
    const members = this.#ports.members();
    for (const { id, state } of members) if (state === "alive") this.#disowned.delete(id);
    const isOver = (sinceMs: number) => nowMs - sinceMs >= TIMES.deadGraceMs;
    const gone = [...replacedPeers(members)]
      .filter(([former, heir]) => isOver(former.sinceMs) && isOver(heir.sinceMs))
      .map(([{ id }]) => id);
    if (isOver(this.#startedMs)) gone.push(...this.#unmet(members, isOver));
    for (const id of gone) {
      if (this.#disowned.size < LIMITS.peersMax) this.#disowned.add(id);
    }
  }

  /** Peers nobody has met since the mesh restarted, whose rows name an heir's host. */
  #unmet(members: readonly Member[], isOver: (sinceMs: number) => boolean): PeerId[] {
    const met = new Set(members.map(({ id }) => id));
    const heirs = members.filter(({ state, sinceMs }) => state === "alive" && isOver(sinceMs));
    const hosts = new Set(heirs.map(preferredHost));
    const unmet = [...this.#ports.vteps()].filter(([id, host]) => !met.has(id) && hosts.has(host));
    return unmet.map(([id]) => id);
  }
}

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

/** Private addresses beside it may exist at several sites, so only this one tells a host. */
function preferredHost(member: Member): string {
  return hostsOf(member)[0] ?? member.advertise.host;
}
