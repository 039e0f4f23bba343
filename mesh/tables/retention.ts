/**
 * When the rows of a peer that does not come back are dropped.
 *
 * Law: never on doubt. A peer's rows go after a day in which it was not here at any check and at
 * whose end its host is silent: a host that refuses the connection is up with its daemon down, and
 * its containers go on talking. They go after the grace in which another peer was here at its
 * address: two processes cannot have one, so it never speaks again, and the other has taken over
 * the containers that still run. That is proved once for all: the grace is counted over restarts
 * of this host, and who has dropped the rows tells the others. What is dropped comes back with the
 * peer itself (see replica.ts).
 */
import { messageOf } from "../errors.ts";
import { LIMITS, TIMES } from "../limits.ts";
import type { Cancel, Clock, HostPort, Log, PeerId, Store, Streams } from "../ports.ts";
import { decodeWire, encodeWire } from "../wire/msgpack.ts";
import { readArray, readInteger } from "../wire/read.ts";
import { peerIdBytes, readPeerId } from "./messages.ts";

const KEY = "replaced";
const PROBE_DEADLINE_MS = 3000;

interface RetentionPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly streams: Pick<Streams, "probe">;
  readonly store: Pick<Store, "load" | "save">;
  /** Peers whose rows are held and that are not here. */
  readonly absent: () => readonly PeerId[];
  /** Where an absent peer's gossip port was; unknown: its rows stay. */
  readonly addressOf: (peer: PeerId) => HostPort | undefined;
  /** Whether a peer that is here, this one included, has that address: the host was made anew. */
  readonly isTaken: (address: HostPort) => boolean;
  /** `forAll`: the others are to drop its rows, too. */
  readonly forget: (peer: PeerId, forAll: boolean) => boolean;
}

interface Absence {
  /** By the monotonic clock. */
  readonly sinceMs: number;
  /** Whether another peer was at its address at the last check. */
  readonly isTaken: boolean;
}

export class Retention {
  readonly #ports: RetentionPorts;
  /** BOUNDED: peersMax; absent peers. */
  #absences = new Map<PeerId, Absence>();
  /** BOUNDED: peersMax; for how long another was seen at an absent peer's address. */
  #replacedMs: Map<PeerId, number> | undefined;
  /** What the disk holds; undefined: not known. */
  #saved: string | undefined;
  #checkedMs = 0;
  #cancel: Cancel | undefined;
  #stopped = false;

  constructor(ports: RetentionPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#cancel = this.#ports.clock.timer("retention", TIMES.forgetCheckMs, () => {
      void this.#checkAndGoOn();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  async #checkAndGoOn(): Promise<void> {
    try {
      await this.#check();
    } catch (error) {
      this.#ports.log.warn({ error: messageOf(error) }, "cannot tell who is gone for good");
    }
    if (!this.#stopped) this.start();
  }

  async #check(): Promise<void> {
    this.#replacedMs ??= await this.#load();
    const replacedMs = this.#replacedMs;
    const nowMs = this.#ports.clock.nowMs();
    const elapsedMs = nowMs - this.#checkedMs;
    this.#checkedMs = nowMs;
    const absent = this.#ports.absent().slice(0, LIMITS.peersMax);
    const before = this.#absences;
    this.#absences = new Map();
    for (const peer of absent) {
      const address = this.#ports.addressOf(peer);
      const isTaken = address !== undefined && this.#ports.isTaken(address);
      const last = before.get(peer);
      this.#absences.set(peer, { sinceMs: last?.sinceMs ?? nowMs, isTaken });
      const wasTaken = isTaken && last?.isTaken === true;
      if (isTaken) replacedMs.set(peer, (replacedMs.get(peer) ?? 0) + (wasTaken ? elapsedMs : 0));
    }
    for (const peer of replacedMs.keys()) if (!this.#absences.has(peer)) replacedMs.delete(peer);
    for (const peer of absent) await this.#dropIfGone(peer, nowMs);
    await this.#save();
  }

  async #dropIfGone(peer: PeerId, nowMs: number): Promise<void> {
    const address = this.#ports.addressOf(peer);
    const absence = this.#absences.get(peer);
    if (address === undefined || absence === undefined) return;
    const isReplaced = (this.#replacedMs?.get(peer) ?? 0) >= TIMES.deadGraceMs;
    const isOld = nowMs - absence.sinceMs >= TIMES.forgetAfterMs;
    if (!isReplaced && !(isOld && (await this.#isSilent(address)))) return;
    if (!this.#ports.forget(peer, isReplaced)) return;
    this.#replacedMs?.delete(peer);
    this.#ports.log.info({ peer, address, replaced: isReplaced }, "gone: its rows are dropped");
  }

  async #isSilent(address: HostPort): Promise<boolean> {
    return (await this.#ports.streams.probe(address, PROBE_DEADLINE_MS)) === "silent";
  }

  /** What does not read is counted anew. */
  async #load(): Promise<Map<PeerId, number>> {
    try {
      const bytes = await this.#ports.store.load(KEY);
      const rows = bytes === undefined ? [] : readArray(decodeWire(bytes), KEY, 0, LIMITS.peersMax);
      const counted = rows.map((row): [PeerId, number] => {
        const [peer, ms] = readArray(row, KEY, 2, 2);
        return [readPeerId(peer, KEY), readInteger(ms, KEY)];
      });
      this.#saved = counted.join();
      return new Map(counted);
    } catch (error) {
      this.#ports.log.warn({ error: messageOf(error) }, "who was replaced is counted anew");
      return new Map();
    }
  }

  async #save(): Promise<void> {
    const rows = [...(this.#replacedMs ?? [])];
    const text = rows.join();
    if (text === this.#saved) return;
    const wire = rows.map(([peer, ms]) => [peerIdBytes(peer), Math.round(ms)]);
    await this.#ports.store.save(KEY, encodeWire(wire));
    this.#saved = text;
  }
}
