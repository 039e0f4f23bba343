/**
 * The tables as others use them: own writes go out by spread.ts and relay.ts, what others say is
 * merged, whatever is lost on the way exchange.ts repairs, and watchers hear each net change once.
 *
 * Law: any two peers that can talk converge. A message that makes no sense is noted and dropped;
 * it stops neither the next message nor another table.
 */
import { TIMES } from "../limits.ts";
import type { Member, MemberEvent, StateRider } from "../membership/membership.ts";
import { Refusals } from "../membership/refusals.ts";
import type { Cancel, Clock, HostPort, Log, PeerId, Random, WireValue } from "../ports.ts";
import { decodeWire } from "../wire/msgpack.ts";
import type { Channel } from "../wire/packet.ts";
import { Comparisons } from "./comparison.ts";
import { Consequences } from "./consequences.ts";
import { DigestExchange } from "./exchange.ts";
import { LivePeers } from "./live-peers.ts";
import type { Delta } from "./messages.ts";
import {
  encodeTablesMessage,
  markOf,
  type Push,
  type Relay,
  readTablesMessage,
  type TablesMessage,
} from "./push.ts";
import { RelayHead } from "./relay.ts";
import type { Replica } from "./replica.ts";
import { Spread } from "./spread.ts";
import type { RowChange, RowWatcher, Rpc, TableName, TableRow, Tables } from "./types.ts";

interface ReplicatorPorts {
  readonly datagrams: Channel;
  readonly rpc: Rpc;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Live view of who is here. */
  readonly members: () => readonly Member[];
  /** Whether membership carries this peer's hash on its probes, and brings the others'. */
  readonly carried: boolean;
}

export class Replicator implements Tables {
  readonly #ports: ReplicatorPorts;
  readonly #replica: Replica;
  readonly #peers: LivePeers;
  readonly #spread: Spread;
  readonly #relay: RelayHead;
  readonly #exchange: DigestExchange;
  readonly #comparisons: Comparisons;
  /** BOUNDED: one entry a table name. */
  readonly #watchers = new Map<TableName, Set<RowWatcher>>();
  readonly #consequences: Consequences;
  readonly #cancels: Cancel[] = [];
  readonly #refusals: Refusals;
  #cancelDigest: Cancel | undefined;
  #cloned = false;
  /** Called after every change of the replica; the daemon saves what others said. */
  onChange: () => void = () => undefined;

  constructor(ports: ReplicatorPorts, replica: Replica) {
    const { clock, random } = ports;
    this.#ports = ports;
    this.#refusals = new Refusals(ports.log, "refused a tables message");
    this.#replica = replica;
    this.#peers = new LivePeers(ports.members);
    this.#consequences = new Consequences(clock);
    const { send, sendAll } = ports.datagrams;
    const sendDigest = (to: HostPort) => this.#sendDigest(to, true);
    const ask = (peer: PeerId): void => {
      const member = this.#isHere(peer) ? this.#peers.get(peer) : undefined;
      if (member !== undefined) sendDigest(member.advertise);
    };
    const shared = { clock, send, sendAll, peers: this.#peers };
    this.#spread = new Spread({ ...shared, random, sendDigest }, replica);
    this.#relay = new RelayHead({
      ...shared,
      self: replica.self,
      holds: ({ origin, incarnation, to }) => {
        const held = replica.held(origin);
        return held?.incarnation === incarnation && held.seq >= to;
      },
    });
    this.#exchange = new DigestExchange(ports, replica, {
      merge: (deltas) => this.#merge(deltas),
      learn: (peer, seq) => this.#spread.learn(peer, seq),
      compare: (peer) => ask(peer),
      compareAny: () => this.#compareAny(true),
    });
    this.#comparisons = new Comparisons({ clock, random, ask }, replica);
  }

  /** What probes say of this peer's state, and what becomes of others'. */
  get rider(): StateRider {
    return {
      hash: () => this.#replica.digest(),
      heard: (peer, hash) => this.#comparisons.seen(peer, hash),
      met: (peer, hash) => {
        if (this.#isHere(peer) && !this.#isEqual(peer, hash)) this.#comparisons.with(peer);
      },
      told: (peer) => this.#comparisons.drop(peer),
    };
  }

  /** Begins to talk: every own row written before is offered whole to whoever asks. */
  start(): void {
    const { datagrams } = this.#ports;
    this.#peers.changed();
    this.#cancels.push(datagrams.onPacket((from, packet) => this.#receive(from, packet)));
    this.#spread.start();
    this.#exchange.start();
    this.#armDigest();
  }

  stop(): void {
    for (const cancel of this.#cancels.splice(0)) cancel();
    this.#exchange.stop();
    this.#comparisons.stop();
    this.#spread.stop();
    this.#relay.stop();
    this.#consequences.stop();
    this.#cancelDigest?.();
  }

  /** True once a peer has shown a later log under this peer's own id. */
  get cloned(): boolean {
    return this.#cloned;
  }

  /** How far the log of a peer is held, undefined when there is none. It may come in pieces. */
  held(peer: PeerId): { readonly incarnation: number; readonly seq: number } | undefined {
    return this.#replica.held(peer);
  }

  /** Whether the rows of a peer were dropped, as of one that does not return. */
  isForgotten(peer: PeerId): boolean {
    return this.#replica.isForgotten(peer);
  }

  /** Sixteen hex digits that are equal exactly when two peers hold the same logs. */
  digest(): string {
    return Buffer.from(this.#replica.digest()).toString("hex");
  }

  put(table: TableName, key: string, value: WireValue): void {
    this.#changed(this.#replica.put(table, key, value));
    this.#spread.changed();
  }

  remove(table: TableName, key: string): void {
    this.#changed(this.#replica.remove(table, key));
    this.#spread.changed();
  }

  rows(table: TableName): readonly TableRow[] {
    return this.#replica.rows(table);
  }

  watch(table: TableName, receive: RowWatcher): Cancel {
    const watchers = this.#watchers.get(table) ?? new Set();
    watchers.add(receive);
    this.#watchers.set(table, watchers);
    return () => watchers.delete(receive);
  }

  async announce(deadlineMs: number): Promise<{ readonly late: readonly PeerId[] }> {
    return await this.#spread.announce(deadlineMs);
  }

  /**
   * Drops the rows of a peer that does not return; false when it is here. They come back with the
   * peer itself and in no other way. `forAll`: all others for whom it is not here drop them, too.
   */
  forget(peer: PeerId, forAll: boolean): boolean {
    if (peer === this.#replica.self || this.#isHere(peer)) return false;
    this.#changed(this.#replica.forget(peer, forAll));
    this.onChange();
    return true;
  }

  /** Whether a peer that is here, this one or another, has an address. */
  isTaken({ host, port }: HostPort): boolean {
    const has = ({ advertise }: Member) => advertise.host === host && advertise.port === port;
    const self = this.#peers.get(this.#replica.self);
    return (self !== undefined && has(self)) || this.#peers.live().some(has);
  }

  /** Peers whose rows are held and that are not here. */
  absent(): PeerId[] {
    return this.#replica.origins().filter((origin) => !this.#isHere(origin));
  }

  /** To be called with each membership event: who is back is compared with at once. */
  membershipChanged(event: MemberEvent): void {
    const { member } = event;
    this.#peers.observe(member);
    // A quick restart is an update: the new life may lack what the old one acknowledged.
    const isNews = event.type === "alive" || event.type === "updated";
    if (isNews && !member.self) {
      this.#spread.forget(member.id);
      this.#replica.revive(member.id);
      if (this.#ports.carried) this.#comparisons.soon(member.id);
      else this.#comparisons.with(member.id);
    }
    if (!this.#isHere(member.id)) this.#comparisons.drop(member.id);
    this.#spread.membersChanged();
  }

  #isHere(peer: PeerId): boolean {
    const state = this.#peers.get(peer)?.state;
    return state === "alive" || state === "suspect";
  }

  #sendDigest(to: HostPort, ask: boolean): void {
    const sender = this.#replica.self;
    const hash = this.#replica.digest();
    this.#ports.datagrams.send(to, encodeTablesMessage({ type: "digest", sender, hash, ask }));
  }

  #compareAny(ask: boolean): void {
    const live = this.#peers.live();
    const chosen = live[this.#ports.random.u32() % Math.max(1, live.length)];
    if (chosen !== undefined) this.#sendDigest(chosen.advertise, ask);
  }

  #armDigest(): void {
    const { clock, carried } = this.#ports;
    const waitMs = carried ? TIMES.digestCarriedIntervalMs : TIMES.digestIntervalMs;
    this.#cancelDigest = clock.timer("digest", waitMs, () => {
      this.#peers.changed();
      this.#compareAny(false);
      this.#armDigest();
    });
  }

  #receive(from: HostPort, packet: Uint8Array): void {
    try {
      this.#take(from, readTablesMessage(decodeWire(packet)));
    } catch (error) {
      this.#refusals.note(from, error);
    }
  }

  #take(from: HostPort, message: TablesMessage): void {
    switch (message.type) {
      case "push":
      case "relay":
        this.#takeRows(from, message);
        return;
      case "cover":
        this.#spread.takeCover(message);
        return;
      case "ack":
        this.#spread.takeAck(message);
        this.#relay.takeAck(message);
        return;
      case "digest":
        this.#takeDigest(from, message);
    }
  }

  #takeDigest(from: HostPort, { sender, hash, ask }: TablesMessage & { type: "digest" }): void {
    if (!this.#isEqual(sender, hash)) this.#exchange.with(sender);
    else if (ask) this.#sendDigest(from, false);
  }

  /** Compares a peer's whole state with this one's; what follows if they are equal. */
  #isEqual(peer: PeerId, hash: Uint8Array): boolean {
    if (Buffer.compare(hash, this.#replica.digest()) !== 0) return false;
    this.#comparisons.drop(peer);
    this.#spread.learn(peer, this.#replica.ownSeq);
    const member = this.#peers.get(peer);
    if (member !== undefined) this.#replica.foundEqual(peer, member.incarnation);
    return true;
  }

  #takeRows(from: HostPort, message: Push | Relay): void {
    const { sender, delta } = message;
    const behind = this.#merge([delta], (work) => this.#consequences.add(delta.origin, work));
    if (behind) this.#exchange.with(sender);
    const held = this.#replica.held(delta.origin);
    if (held?.incarnation === delta.incarnation) {
      const { incarnation, seq } = held;
      const log = { origin: markOf(held.origin), incarnation, seq };
      const ack = { type: "ack", sender: this.#replica.self, ...log } as const;
      const packet = encodeTablesMessage(ack);
      const answer = () => this.#ports.datagrams.send(from, packet);
      this.#consequences.whenDone(delta.origin, answer);
    }
    if (message.type === "relay") this.#relay.take(from, message);
  }

  /**
   * Merges and tells watchers; true when some origin's log has a gap. `causes` is given what the
   * changes cause and is not done yet.
   */
  #merge(deltas: readonly Delta[], causes?: (work: Promise<unknown>) => void): boolean {
    let behind = false;
    const changes: RowChange[] = [];
    for (const delta of deltas) {
      // Others have not seen yet that the peer is back: its rows are worth fetching.
      if (delta.hollow && this.#isHere(delta.origin)) continue;
      const merged = this.#replica.merge(delta);
      changes.push(...merged.changes);
      behind ||= merged.behind;
      if (merged.cloned && !this.#cloned) {
        this.#cloned = true;
        this.#ports.log.error({ peer: delta.origin }, "another live peer uses this peer's id");
      }
    }
    this.#changed(changes, causes);
    return behind;
  }

  #changed(changes: readonly RowChange[], causes?: (work: Promise<unknown>) => void): void {
    if (changes.length === 0) return;
    this.onChange();
    for (const [table, watchers] of this.#watchers) {
      const own = changes.filter((change) => change.table === table);
      if (own.length === 0) continue;
      for (const receive of watchers) {
        const work = receive(own);
        if (work instanceof Promise) causes?.(work);
      }
    }
  }
}
