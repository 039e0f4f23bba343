/**
 * Pings on behalf of others: the ack is passed on; without one the asker is told in time that the
 * relay at least works.
 *
 * Law: only members are pinged and only a limited number at once, so nobody aims this peer at a
 * stranger or makes it work without end.
 */
import type { Cancel, Clock, HostPort, PeerId } from "../../ports.ts";

interface Errand {
  readonly asker: PeerId;
  readonly from: HostPort;
  readonly seq: number;
  readonly cancel: Cancel;
}

interface DeskLinks {
  answer(kind: "ack" | "nack", to: HostPort, peer: PeerId, seq: number): void;
}

/** More than three a probe of every member at the same time would need. */
const ERRANDS_MAX = 1024;

export class RelayDesk {
  /** BOUNDED: ERRANDS_MAX; further requests are ignored. */
  readonly #errands = new Map<number, Errand>();
  readonly #clock: Clock;
  readonly #nackShare: number;
  readonly #links: DeskLinks;

  constructor(clock: Clock, nackShare: number, links: DeskLinks) {
    this.#clock = clock;
    this.#nackShare = nackShare;
    this.#links = links;
  }

  /** Takes an errand whose ping goes out under `ownSeq`; false when there are too many. */
  take(
    ownSeq: number,
    asked: { asker: PeerId; from: HostPort; seq: number; patienceMs: number },
  ): boolean {
    if (this.#errands.size >= ERRANDS_MAX) return false;
    const { asker, from, seq } = asked;
    const cancel = this.#clock.timer("nack", asked.patienceMs * this.#nackShare, () => {
      this.#errands.delete(ownSeq);
      this.#links.answer("nack", from, asker, seq);
    });
    this.#errands.set(ownSeq, { asker, from, seq, cancel });
    return true;
  }

  /** Passes on an ack if it belongs to an errand. */
  acked(ownSeq: number): void {
    const errand = this.#errands.get(ownSeq);
    if (errand === undefined) return;
    this.#errands.delete(ownSeq);
    errand.cancel();
    this.#links.answer("ack", errand.from, errand.asker, errand.seq);
  }

  stop(): void {
    for (const { cancel } of this.#errands.values()) cancel();
    this.#errands.clear();
  }
}
