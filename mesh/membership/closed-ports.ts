/**
 * Whether a suspect's daemon is gone while its host is up, for an engine whose own probes cannot
 * tell: the port that takes its connections refuses them.
 *
 * Law: a refused connect is proof only together with two pings of this peer's own that nobody
 * answered, so a daemon that restarts, or one host's firewall, convicts nobody. A timer that comes
 * late proves that this process was paused, and the pings count for nothing.
 */
import { messageOf } from "../errors.ts";
import type { Cancel, Clock, HostPort, Log, PeerId, Streams } from "../ports.ts";
import { compareLives, lifeOf, type PeerRecord } from "./record.ts";

interface Rules {
  readonly pingTimeoutMs: number;
  /** How long a connect is waited for. */
  readonly connectMs: number;
  wasPaused(latenessMs: number): boolean;
  ping(id: PeerId): void;
  /** Whether the peer itself answered since. */
  answeredSince(id: PeerId, sinceMs: number): boolean;
  record(id: PeerId): PeerRecord | undefined;
  /** Its port is closed. */
  refused(record: PeerRecord): void;
}

interface Ports {
  readonly clock: Clock;
  readonly streams: Pick<Streams, "probe">;
  readonly log: Log;
}

/** Pings without an answer before the host's word counts. */
const PINGS = 2;

export class ClosedPorts {
  /** BOUNDED: suspects (LIMITS.peersMax), one look each. */
  readonly #looks = new Map<PeerId, Cancel>();
  readonly #ports: Ports;
  readonly #rules: Rules;

  constructor(ports: Ports, rules: Rules) {
    this.#ports = ports;
    this.#rules = rules;
  }

  /** Looks at a suspect that left `missed` pings unanswered since then. */
  look(suspect: PeerRecord, sinceMs: number, missed = 0): void {
    const { id } = suspect.meta;
    this.drop(id);
    if (missed >= PINGS) {
      this.#looks.set(id, () => undefined);
      this.#ask(suspect, sinceMs);
      return;
    }
    const { clock } = this.#ports;
    const dueMs = clock.nowMs() + this.#rules.pingTimeoutMs;
    this.#rules.ping(id);
    const cancel = clock.timer("closed-port", this.#rules.pingTimeoutMs, () => {
      const wasPaused = this.#rules.wasPaused(clock.nowMs() - dueMs);
      if (this.#rules.answeredSince(id, sinceMs)) this.drop(id);
      else if (wasPaused) this.look(suspect, clock.nowMs());
      else this.look(suspect, sinceMs, missed + 1);
    });
    this.#looks.set(id, cancel);
  }

  /** No longer a suspect. */
  drop(id: PeerId): void {
    this.#looks.get(id)?.();
    this.#looks.delete(id);
  }

  clear(): void {
    for (const id of [...this.#looks.keys()]) this.drop(id);
  }

  #ask(suspect: PeerRecord, sinceMs: number): void {
    const { id, advertise } = suspect.meta;
    const look = this.#looks.get(id);
    this.#reach(advertise)
      .then((found) => {
        if (this.#looks.get(id) !== look) return;
        this.drop(id);
        if (found !== "refused" || this.#rules.answeredSince(id, sinceMs)) return;
        const known = this.#rules.record(id);
        const isSame = known !== undefined && compareLives(lifeOf(known), lifeOf(suspect)) === 0;
        if (isSame && known.state === "suspect") this.#rules.refused(known);
      })
      .catch((error: unknown) => {
        const fields = { peer: id, advertise, error: messageOf(error) };
        this.#ports.log.debug(fields, "cannot ask a host");
      });
  }

  async #reach(address: HostPort) {
    return await this.#ports.streams.probe(address, this.#rules.connectMs);
  }
}
