/**
 * The members as this peer sees them: one record a peer id, the events that follow from changes,
 * and a digest to compare whole views by.
 *
 * Law: never two records for one peer id, wherever its address moves; at most `LIMITS.peersMax`
 * records, the longest gone forgotten first, a live one never.
 */
import { LIMITS } from "../limits.ts";
import type { PeerId } from "../ports.ts";
import { addressKey, hostsOf } from "./address.ts";
import type { Evidence, Member, MemberEvent, PeerMeta } from "./membership.ts";
import type { Paths } from "./paths.ts";
import { compareLives, lifeOf, type PeerRecord } from "./record.ts";
import { bucketOf, type RecordHash, recordHash, ViewHash } from "./view-hash.ts";

interface Entry {
  readonly record: PeerRecord;
  readonly sinceMs: number;
  /** Of a live record; what it adds to the view's hash. */
  readonly hash: RecordHash | undefined;
  readonly evidence: Evidence | undefined;
}

export function isLive(record: PeerRecord): boolean {
  return record.state === "alive" || record.state === "suspect";
}

export class Roster {
  /** BOUNDED: LIMITS.peersMax by `makeRoom`, which the caller heeds before it observes a new id. */
  readonly #entries = new Map<PeerId, Entry>();
  #self: PeerMeta;
  readonly #startedMs: number;
  readonly #paths: Paths | undefined;
  readonly #view = new ViewHash();
  #own: { readonly record: PeerRecord; readonly hash: RecordHash } | undefined;
  #liveCount = 0;
  #sorted: { readonly live: PeerRecord[]; readonly gone: PeerRecord[] } | undefined;

  /** `paths` says which address of a peer is in use; without it, each peer's first is. */
  constructor(self: PeerMeta, nowMs: number, paths?: Paths) {
    this.#self = self;
    this.#paths = paths;
    this.#startedMs = nowMs;
  }

  /** This peer has other addresses. */
  relocate(self: PeerMeta): void {
    this.#self = self;
  }

  record(id: PeerId): PeerRecord | undefined {
    return this.#entries.get(id)?.record;
  }

  /** Records of other peers that are alive or suspect. */
  live(): readonly PeerRecord[] {
    return this.#split().live;
  }

  /** How many other peers are alive or suspect. */
  get liveCount(): number {
    return this.#liveCount;
  }

  /** Records of other peers that are dead or left. */
  gone(): readonly PeerRecord[] {
    return this.#split().gone;
  }

  records(): PeerRecord[] {
    return [...this.#entries.values()].map((entry) => entry.record);
  }

  /** Takes over a record that was judged valid; the event to report if a visible thing changed. */
  observe(incoming: PeerRecord, nowMs: number, evidence?: Evidence): MemberEvent | undefined {
    const record = this.#paths?.place(incoming) ?? incoming;
    const before = this.#entries.get(record.meta.id);
    const sameState = before?.record.state === record.state;
    const sinceMs = before !== undefined && sameState ? before.sinceMs : nowMs;
    const hash = isLive(record) ? recordHash(record) : undefined;
    const entry = { record, sinceMs, hash, evidence };
    this.#replace(record.meta.id, before, entry);
    if (before !== undefined && sameState && !differs(before.record, record)) return undefined;
    const type = sameState ? "updated" : record.state;
    return { type, member: this.#member(entry, null) };
  }

  /** The address in use or the path of a live peer has changed: the event to report. */
  moved(id: PeerId): MemberEvent | undefined {
    const before = this.#entries.get(id);
    if (before === undefined || !isLive(before.record)) return undefined;
    const entry = { ...before, record: this.#paths?.place(before.record) ?? before.record };
    this.#replace(id, before, entry);
    return { type: "updated", member: this.#member(entry, null) };
  }

  #replace(id: PeerId, before: Entry | undefined, after: Entry | undefined): void {
    if (before?.hash !== undefined) this.#view.toggle(bucketOf(id), before.hash);
    if (after?.hash !== undefined) this.#view.toggle(bucketOf(id), after.hash);
    if (after === undefined) this.#entries.delete(id);
    else this.#entries.set(id, after);
    this.#liveCount += Number(after?.hash !== undefined) - Number(before?.hash !== undefined);
    this.#sorted = undefined;
  }

  #split(): { readonly live: PeerRecord[]; readonly gone: PeerRecord[] } {
    if (this.#sorted !== undefined) return this.#sorted;
    const sorted = { live: [] as PeerRecord[], gone: [] as PeerRecord[] };
    for (const { record } of this.#entries.values()) {
      (isLive(record) ? sorted.live : sorted.gone).push(record);
    }
    this.#sorted = sorted;
    return sorted;
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
    this.#paths?.forget(id);
    this.#replace(id, this.#entries.get(id), undefined);
  }

  /** Self first, then by id. */
  members(rttMs: (id: PeerId) => number | null): Member[] {
    const others = [...this.#entries.values()]
      .map((entry) => this.#member(entry, rttMs(entry.record.meta.id)))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
    return [this.#ownMember(), ...others];
  }

  member(id: PeerId, rttMs: (id: PeerId) => number | null): Member | undefined {
    if (id === this.#self.id) return this.#ownMember();
    const entry = this.#entries.get(id);
    return entry === undefined ? undefined : this.#member(entry, rttMs(id));
  }

  /** Eight bytes that are equal at two peers exactly if they hold the same live records. */
  digest(self: PeerRecord): Uint8Array {
    return this.#with(self, () => this.#view.digest());
  }

  /** The same for each of the 32 buckets, four bytes each. */
  buckets(self: PeerRecord): Uint8Array {
    return this.#with(self, () => this.#view.buckets());
  }

  #ownMember(): Member {
    const sinceMs = this.#startedMs;
    return { ...this.#self, state: "alive", sinceMs, rttMs: null, self: true };
  }

  #member({ record, sinceMs, evidence }: Entry, rttMs: number | null): Member {
    const path = isLive(record) ? this.#paths?.of(record.meta.id) : undefined;
    const seenMs = this.#paths?.seenMs(record.meta.id);
    return {
      ...record.meta,
      state: record.state,
      sinceMs,
      rttMs,
      self: false,
      ...(evidence === undefined ? {} : { evidence }),
      ...(path === undefined ? {} : { path }),
      ...(seenMs === undefined ? {} : { seenMs }),
    };
  }

  /** Reads the view with this peer's own record in it. */
  #with(self: PeerRecord, read: () => Uint8Array): Uint8Array {
    if (this.#own?.record.refutation !== self.refutation || this.#own.record.era !== self.era) {
      if (this.#own !== undefined) this.#view.toggle(bucketOf(self.meta.id), this.#own.hash);
      this.#own = { record: self, hash: recordHash(self) };
      this.#view.toggle(bucketOf(self.meta.id), this.#own.hash);
    }
    return read();
  }
}

function differs(a: PeerRecord, b: PeerRecord): boolean {
  return (
    compareLives(lifeOf(a), lifeOf(b)) !== 0 ||
    a.meta.name !== b.meta.name ||
    addressKey(a.meta.advertise) !== addressKey(b.meta.advertise) ||
    hostsOf(a.meta).join() !== hostsOf(b.meta).join()
  );
}
