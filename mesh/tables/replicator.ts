/**
 * The tables as others use them, and the eager road of a fresh own row: at once to every live
 * peer, acknowledged and retried. Whatever that loses, exchange.ts repairs.
 *
 * Law: any two peers that can talk converge. A message that makes no sense is logged and dropped;
 * it stops neither the next message nor another table.
 */
import { messageOf } from "../errors.ts";
import { TIMES } from "../limits.ts";
import type { Member, MemberEvent } from "../membership/membership.ts";
import type {
  Cancel,
  Clock,
  Datagrams,
  HostPort,
  Log,
  PeerId,
  Random,
  WireValue,
} from "../ports.ts";
import { decodeWire } from "../wire/msgpack.ts";
import { DigestExchange } from "./exchange.ts";
import type { Delta } from "./messages.ts";
import { encodeTablesMessage, pieces, readTablesMessage, type TablesMessage } from "./push.ts";
import type { Replica } from "./replica.ts";
import type { RowChange, Rpc, TableName, TableRow, Tables } from "./types.ts";

const COALESCE_MS = 2;
/** A longer push is cheaper as one stream exchange. */
const PIECES_MAX = 8;

interface ReplicatorPorts {
  readonly datagrams: Datagrams;
  readonly rpc: Rpc;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Live view of who is here. */
  readonly members: () => readonly Member[];
}

interface Waiter {
  readonly seq: number;
  readonly done: (late: readonly PeerId[]) => void;
}

export class Replicator implements Tables {
  readonly #ports: ReplicatorPorts;
  readonly #replica: Replica;
  /** BOUNDED: one entry a member (peersMax): own sequence number it is known to hold. */
  readonly #acked = new Map<PeerId, number>();
  readonly #exchange: DigestExchange;
  /** BOUNDED: one entry a table name. */
  readonly #watchers = new Map<TableName, Set<(changes: readonly RowChange[]) => void>>();
  /** BOUNDED: one entry a driver call in flight, each with a deadline. */
  readonly #waiters = new Set<Waiter>();
  readonly #cancels: Cancel[] = [];
  #cancelFlush: Cancel | undefined;
  #cancelRetry: Cancel | undefined;
  #cancelDigest: Cancel | undefined;
  #pushedSeq = 0;
  #tries = 0;
  #started = false;
  #cloned = false;
  /** Called after every change of the replica; the daemon saves a snapshot. */
  onChange: () => void = () => undefined;

  constructor(ports: ReplicatorPorts, replica: Replica) {
    this.#ports = ports;
    this.#replica = replica;
    this.#exchange = new DigestExchange(ports, replica, {
      merge: (deltas) => this.#merge(deltas),
      learn: (peer, seq) => this.#learn(peer, seq),
    });
  }

  /** Begins to talk: every own row written before is offered whole to whoever asks. */
  start(): void {
    this.#started = true;
    this.#pushedSeq = this.#replica.ownSeq;
    const { datagrams } = this.#ports;
    this.#cancels.push(datagrams.onPacket((from, packet) => this.#receive(from, packet)));
    this.#exchange.start();
    this.#armDigest();
  }

  stop(): void {
    this.#started = false;
    for (const cancel of this.#cancels.splice(0)) cancel();
    this.#exchange.stop();
    this.#cancelFlush?.();
    this.#cancelRetry?.();
    this.#cancelDigest?.();
    for (const waiter of this.#waiters) waiter.done([]);
  }

  /** True once a peer has shown a later log under this peer's own id. */
  get cloned(): boolean {
    return this.#cloned;
  }

  /** The incarnation of the log held of a peer, undefined when there is none. */
  heldIncarnation(peer: PeerId): number | undefined {
    return this.#replica.vector().find((entry) => entry.origin === peer)?.incarnation;
  }

  put(table: TableName, key: string, value: WireValue): void {
    this.#changed(this.#replica.put(table, key, value));
    this.#armFlush();
  }

  remove(table: TableName, key: string): void {
    this.#changed(this.#replica.remove(table, key));
    this.#armFlush();
  }

  rows(table: TableName): readonly TableRow[] {
    return this.#replica.rows(table);
  }

  watch(table: TableName, receive: (changes: readonly RowChange[]) => void): Cancel {
    const watchers = this.#watchers.get(table) ?? new Set();
    watchers.add(receive);
    this.#watchers.set(table, watchers);
    return () => watchers.delete(receive);
  }

  async announce(deadlineMs: number): Promise<{ readonly late: readonly PeerId[] }> {
    const seq = this.#replica.ownSeq;
    if (this.#started) this.#flush();
    return await new Promise((resolve) => {
      let cancel: Cancel = () => undefined;
      const waiter: Waiter = {
        seq,
        done: (late) => {
          cancel();
          this.#waiters.delete(waiter);
          resolve({ late });
        },
      };
      this.#waiters.add(waiter);
      cancel = this.#ports.clock.timer("announce", deadlineMs, () => waiter.done(this.#late(seq)));
      this.#settleWaiters();
    });
  }

  /** To be called with each membership event: who is back is brought up to date at once. */
  membershipChanged(event: MemberEvent): void {
    const { member } = event;
    if (event.type === "alive" && !member.self) {
      this.#acked.delete(member.id);
      this.#exchange.with(member.id);
    }
    if (member.state !== "alive") this.#settleWaiters();
  }

  #live(): Member[] {
    return this.#ports.members().filter((member) => member.state === "alive" && !member.self);
  }

  #late(seq: number): PeerId[] {
    return this.#live()
      .map((member) => member.id)
      .filter((id) => (this.#acked.get(id) ?? 0) < seq);
  }

  #settleWaiters(): void {
    for (const waiter of [...this.#waiters]) {
      if (this.#late(waiter.seq).length === 0) waiter.done([]);
    }
  }

  #armFlush(): void {
    if (!this.#started || this.#cancelFlush !== undefined) return;
    if (this.#replica.ownSeq === this.#pushedSeq) return;
    this.#cancelFlush = this.#ports.clock.timer("push", COALESCE_MS, () => this.#flush());
  }

  #flush(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    const from = this.#pushedSeq;
    this.#pushedSeq = this.#replica.ownSeq;
    if (from === this.#pushedSeq) return;
    for (const member of this.#live()) this.#push(member, from);
    this.#tries = 0;
    this.#armRetry();
  }

  #armRetry(): void {
    this.#cancelRetry?.();
    const delayMs = TIMES.pushRetryMs * 2 ** this.#tries;
    this.#cancelRetry = this.#ports.clock.timer("push-retry", delayMs, () => {
      this.#tries += 1;
      const late = this.#live().filter((m) => (this.#acked.get(m.id) ?? 0) < this.#pushedSeq);
      if (late.length === 0) return;
      for (const member of late) this.#push(member, this.#acked.get(member.id) ?? 0);
      if (this.#tries < TIMES.pushTries) this.#armRetry();
    });
  }

  #push(member: Member, from: number): void {
    const delta = this.#replica.ownDelta(from);
    const cut = delta.whole ? undefined : pieces(delta);
    // Too large, or cut off behind the floor: a digest makes the peer fetch it by stream.
    if (cut === undefined || cut.length > PIECES_MAX) {
      this.#sendDigest(member.advertise);
      return;
    }
    for (const piece of cut) this.#send(member.advertise, this.#message({ delta: piece }));
  }

  #message(body: { delta: Delta } | { hash: Uint8Array }): TablesMessage {
    const sender = this.#replica.self;
    return "delta" in body
      ? { type: "push", sender, ...body }
      : { type: "digest", sender, ...body };
  }

  #send(to: HostPort, message: TablesMessage): void {
    this.#ports.datagrams.send(to, encodeTablesMessage(message));
  }

  #sendDigest(to: HostPort): void {
    this.#send(to, this.#message({ hash: this.#replica.digest() }));
  }

  #armDigest(): void {
    const { clock, random } = this.#ports;
    this.#cancelDigest = clock.timer("digest", TIMES.digestIntervalMs, () => {
      const live = this.#live();
      const chosen = live[random.u32() % Math.max(1, live.length)];
      if (chosen !== undefined) this.#sendDigest(chosen.advertise);
      this.#armDigest();
    });
  }

  #receive(from: HostPort, packet: Uint8Array): void {
    try {
      const message = readTablesMessage(decodeWire(packet));
      if (message.type === "push") this.#takePush(from, message.sender, message.delta);
      else if (message.type === "ack") this.#takeAck(message.sender, message);
      else if (Buffer.compare(message.hash, this.#replica.digest()) !== 0) {
        this.#exchange.with(message.sender);
      }
    } catch (error) {
      this.#ports.log.warn({ from, error: messageOf(error) }, "dropped a tables message");
    }
  }

  #takePush(from: HostPort, sender: PeerId, delta: Delta): void {
    if (this.#merge([delta])) this.#exchange.with(sender);
    const held = this.#replica.vector().find((entry) => entry.origin === delta.origin);
    if (held === undefined || held.incarnation !== delta.incarnation) return;
    const { incarnation, seq } = held;
    this.#send(from, { type: "ack", sender: this.#replica.self, incarnation, seq });
  }

  #takeAck(sender: PeerId, ack: { incarnation: number; seq: number }): void {
    if (ack.incarnation !== this.#replica.ownIncarnation) return;
    if (ack.seq > this.#replica.ownSeq) return;
    this.#learn(sender, ack.seq);
  }

  /** Merges and tells watchers; true when some origin's log has a gap. */
  #merge(deltas: readonly Delta[]): boolean {
    let behind = false;
    const changes: RowChange[] = [];
    for (const delta of deltas) {
      const merged = this.#replica.merge(delta);
      changes.push(...merged.changes);
      behind ||= merged.behind;
      if (merged.cloned && !this.#cloned) {
        this.#cloned = true;
        this.#ports.log.error({ peer: delta.origin }, "another live peer uses this peer's id");
      }
    }
    this.#changed(changes);
    return behind;
  }

  #changed(changes: readonly RowChange[]): void {
    if (changes.length === 0) return;
    this.onChange();
    for (const [table, watchers] of this.#watchers) {
      const own = changes.filter((change) => change.table === table);
      if (own.length > 0) for (const receive of watchers) receive(own);
    }
  }

  /** Only of members: what a stranger claims to be must not fill memory. */
  #learn(peer: PeerId, seq: number): void {
    if (!this.#ports.members().some((member) => member.id === peer)) return;
    this.#acked.set(peer, Math.max(seq, this.#acked.get(peer) ?? 0));
    this.#settleWaiters();
  }
}
