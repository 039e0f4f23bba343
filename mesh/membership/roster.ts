/**
 * The members as this peer sees them: one record a peer id, the events that follow from changes,
 * and a digest to compare whole views by.
 *
 * Law: never two records for one peer id, wherever its address moves; at most `LIMITS.peersMax`
 * records, the longest gone forgotten first, a live one never.
 */
import { createHash } from "node:crypto";
import { LIMITS } from "../limits.ts";
import type { PeerId } from "../ports.ts";
import type { Member, MemberEvent, PeerMeta } from "./membership.ts";
import { compareLives, lifeOf, type PeerRecord } from "./record.ts";

interface Entry {
  readonly record: PeerRecord;
  readonly sinceMs: number;
}

export function isLive(record: PeerRecord): boolean {
  return record.state === "alive" || record.state === "suspect";
}

export class Roster {
  /** BOUNDED: LIMITS.peersMax by `makeRoom`, which the caller heeds before it observes a new id. */
  readonly #entries = new Map<PeerId, Entry>();
  readonly #self: PeerMeta;
  readonly #startedMs: number;
  #digest: { readonly bytes: Uint8Array; readonly refutation: number } | undefined;

  constructor(self: PeerMeta, nowMs: number) {
    this.#self = self;
    this.#startedMs = nowMs;
  }

  record(id: PeerId): PeerRecord | undefined {
    return this.#entries.get(id)?.record;
  }

  /** Records of other peers that are alive or suspect. */
  live(): PeerRecord[] {
    return this.records().filter(isLive);
  }

  /** Records of other peers that are dead or left. */
  gone(): PeerRecord[] {
    return this.records().filter((record) => !isLive(record));
  }

  records(): PeerRecord[] {
    return [...this.#entries.values()].map((entry) => entry.record);
  }

  /** Takes over a record that was judged valid; the event to report if a visible thing changed. */
  observe(record: PeerRecord, nowMs: number): MemberEvent | undefined {
    const before = this.#entries.get(record.meta.id);
    const sameState = before?.record.state === record.state;
    const sinceMs = before !== undefined && sameState ? before.sinceMs : nowMs;
    this.#entries.set(record.meta.id, { record, sinceMs });
    this.#digest = undefined;
    if (before !== undefined && sameState && !differs(before.record, record)) return undefined;
    const type = sameState ? "updated" : record.state;
    return { type, member: memberOf(record, sinceMs, null) };
  }

  /** Whom to forget so that one more fits: undefined if there is room, null if nobody can go. */
  makeRoom(): PeerId | null | undefined {
    if (this.#entries.size < LIMITS.peersMax - 1) return undefined;
    const gone = [...this.#entries.values()].filter((entry) => !isLive(entry.record));
    gone.sort(
      (a, b) =>
        Number(b.record.state === "left") - Number(a.record.state === "left") ||
        a.sinceMs - b.sinceMs,
    );
    return gone[0]?.record.meta.id ?? null;
  }

  /** Ids of peers that left before `beforeMs`. */
  leftBefore(beforeMs: number): PeerId[] {
    return [...this.#entries.values()]
      .filter((entry) => entry.record.state === "left" && entry.sinceMs < beforeMs)
      .map((entry) => entry.record.meta.id);
  }

  forget(id: PeerId): void {
    this.#entries.delete(id);
    this.#digest = undefined;
  }

  /** Self first, then by id. */
  members(rttMs: (id: PeerId) => number | null): Member[] {
    const others = [...this.#entries.values()]
      .map(({ record, sinceMs }) => memberOf(record, sinceMs, rttMs(record.meta.id)))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
    const self = { ...this.#self, state: "alive", sinceMs: this.#startedMs } as const;
    return [{ ...self, rttMs: null, self: true }, ...others];
  }

  /** Eight bytes that are equal at two peers exactly if they hold the same live records. */
  digest(self: PeerRecord): Uint8Array {
    if (this.#digest?.refutation === self.refutation) return this.#digest.bytes;
    const lines = [...this.live(), self].map(
      ({ meta, era, boot, refutation }) =>
        `${meta.id} ${era} ${meta.incarnation} ${boot} ${refutation}`,
    );
    const hash = createHash("sha256").update(lines.sort().join("\n")).digest();
    this.#digest = { bytes: hash.subarray(0, 8), refutation: self.refutation };
    return this.#digest.bytes;
  }
}

function memberOf(record: PeerRecord, sinceMs: number, rttMs: number | null): Member {
  return { ...record.meta, state: record.state, sinceMs, rttMs, self: false };
}

function differs(a: PeerRecord, b: PeerRecord): boolean {
  return (
    compareLives(lifeOf(a), lifeOf(b)) !== 0 ||
    a.meta.name !== b.meta.name ||
    a.meta.advertise.host !== b.meta.advertise.host ||
    a.meta.advertise.port !== b.meta.advertise.port
  );
}
