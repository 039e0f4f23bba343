/**
 * Whose rows count, and for what: the one place where membership verdicts meet the tables.
 *
 * Law: never remove on doubt. A dead or left peer's names go at once, its kernel entries only after
 * the grace and only when its host is silent: a host that refuses the connection is up with its
 * daemon down, and its containers go on talking. A peer not seen since this start keeps its
 * entries the same way. Return within the grace costs nothing.
 */
import { messageOf } from "./errors.ts";
import { addressesOf } from "./host-port.ts";
import { LIMITS, TIMES } from "./limits.ts";
import type { Member, MemberEvent } from "./membership/membership.ts";
import type { Cancel, Clock, HostPort, Log, PeerId, Streams } from "./ports.ts";

const PROBE_DEADLINE_MS = 3000;
const CHECK_INTERVAL_MS = 5000;

interface PresencePorts {
  readonly clock: Clock;
  readonly streams: Pick<Streams, "probe">;
  readonly log: Log;
  readonly member: (id: PeerId) => Member | undefined;
  /** Peers that have rows, with an address of their host, whether members or not. */
  readonly origins: () => ReadonlyMap<PeerId, HostPort>;
}

export class Presence {
  readonly #ports: PresencePorts;
  readonly #graceMs: number;
  readonly #startedMs: number;
  /** BOUNDED: peersMax; peers found silent after their grace. */
  readonly #gone = new Set<PeerId>();
  /** BOUNDED: peersMax; probes under way. */
  readonly #probing = new Set<PeerId>();
  #cancel: Cancel | undefined;
  /** BOUNDED: peersMax; the life and the address of each peer that is here. */
  readonly #here = new Map<PeerId, string>();
  /** Called when a peer's entries begin or cease to count, or their VTEP may have moved. */
  onChange: () => void = () => undefined;

  constructor(ports: PresencePorts, graceMs: number = TIMES.deadGraceMs) {
    this.#ports = ports;
    this.#graceMs = graceMs;
    this.#startedMs = ports.clock.nowMs();
  }

  start(): void {
    this.#cancel = this.#ports.clock.timer("presence", CHECK_INTERVAL_MS, () => {
      this.#check();
      this.start();
    });
  }

  stop(): void {
    this.#cancel?.();
  }

  /** To be called with each membership event. */
  membershipChanged({ member }: MemberEvent): void {
    const { id, incarnation, advertise } = member;
    if (!isHere(member)) {
      this.#here.delete(id);
      return;
    }
    const place = `${incarnation} ${advertise.host}`;
    const isKnown = this.#here.get(id) === place;
    this.#here.set(id, place);
    if (this.#gone.delete(id) || !isKnown) this.onChange();
  }

  /** Names are answered only for peers that are here. */
  namesCount(peer: PeerId): boolean {
    const member = this.#ports.member(peer);
    return member !== undefined && isHere(member);
  }

  /** Kernel entries stay until their host is proved gone. */
  entriesCount(peer: PeerId): boolean {
    return !this.#gone.has(peer);
  }

  #check(): void {
    const nowMs = this.#ports.clock.nowMs();
    for (const [peer, address] of this.#ports.origins()) {
      const member = this.#ports.member(peer);
      if (member !== undefined && isHere(member)) continue;
      if (this.#gone.has(peer) || this.#probing.has(peer)) continue;
      if (nowMs - (member?.sinceMs ?? this.#startedMs) < this.#graceMs) continue;
      if (this.#probing.size >= LIMITS.peersMax) return;
      this.#probing.add(peer);
      this.#probe(peer, member === undefined ? [address] : addressesOf(member))
        .catch((error: unknown) => {
          this.#ports.log.warn({ peer, error: messageOf(error) }, "cannot probe a dead peer");
        })
        .finally(() => this.#probing.delete(peer));
    }
  }

  /** A host is silent when it is so at all its addresses. */
  async #probe(peer: PeerId, addresses: readonly HostPort[]): Promise<void> {
    const { streams } = this.#ports;
    const found = await Promise.all(
      addresses.map(async (address) => await streams.probe(address, PROBE_DEADLINE_MS)),
    );
    if (found.some((one) => one !== "silent") || this.namesCount(peer)) return;
    this.#gone.add(peer);
    this.#ports.log.info({ peer, addresses }, "host is silent after its grace: entries withdrawn");
    this.onChange();
  }
}

function isHere(member: Member): boolean {
  return member.state === "alive" || member.state === "suspect";
}
