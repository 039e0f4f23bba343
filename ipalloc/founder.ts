/**
 * How a mesh gets its founding record: adopted from whoever has one, made alone when no peer was
 * named, else agreed by the declared peers.
 *
 * Law: a peer that was given peers never founds by itself, however long they are away, and once it
 * has a record it keeps it: another mesh is reported, not merged.
 */
import {
  type Cancel,
  type Clock,
  type HostPort,
  LIMITS,
  type Log,
  type Member,
  messageOf,
  type PeerId,
  type Random,
  type Rpc,
  type Tables,
  TIMES,
} from "../mesh/index.ts";
import { Election } from "./election.ts";
import {
  addressKey,
  decodeFounding,
  encodeFounding,
  type Founding,
  majorityOf,
} from "./founding.ts";
import type { Ledger } from "./ledger.ts";
import { tryRead } from "./rows.ts";

export interface FounderPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly tables: Tables;
  readonly rpc: Rpc;
  readonly members: () => readonly Member[];
}

export interface FounderOptions {
  readonly self: PeerId;
  /** Peers named at launch. */
  readonly declared: readonly HostPort[];
  readonly advertise: HostPort;
}

/** Another mesh that is in reach. */
export interface ForeignMesh {
  readonly meshId: string;
  readonly peers: readonly string[];
}

export class Founder {
  readonly #ports: FounderPorts;
  readonly #ledger: Ledger;
  readonly #founded: () => void;
  readonly #election: Election;
  /** Every declared peer and this one, as `host:port`. BOUNDED: declaredMax. */
  readonly #declared: readonly string[];
  readonly #self: string;
  readonly #cancels: Cancel[] = [];
  #cancelAttempt: Cancel | undefined;
  #attemptAtMs: number | undefined;
  #majoritySinceMs: number | undefined;
  #busy = false;
  #attempts = 0;
  #stopped = false;

  constructor(ports: FounderPorts, options: FounderOptions, ledger: Ledger, founded: () => void) {
    this.#ports = ports;
    this.#ledger = ledger;
    this.#founded = founded;
    this.#self = addressKey(options.advertise);
    const declared = new Set([this.#self, ...options.declared.map(addressKey)]);
    this.#declared = [...declared].slice(0, LIMITS.declaredMax);
    const voter = {
      peer: options.self,
      store: ledger.state.store,
      address: this.#self,
      declared: this.#declared,
    };
    this.#election = new Election(ports, ledger, voter);
  }

  start(): void {
    this.#cancels.push(
      ...this.#election.serve(),
      this.#ports.tables.watch("founding", () => this.consider()),
    );
    this.consider();
  }

  stop(): void {
    this.#stopped = true;
    this.#disarm();
    for (const cancel of this.#cancels.splice(0)) cancel();
  }

  /** Looks again at rows and members; called whenever either changed. */
  consider(): void {
    if (this.#stopped || this.#busy) return;
    if (this.#ledger.state.founding !== undefined) {
      this.#publish();
      return;
    }
    const known = this.#heard();
    const alone = this.#declared.length === 1 && this.#ledger.state.vote.accepted === undefined;
    if (known !== undefined) this.#start("adopt", () => this.#settle(known));
    else if (alone) this.#start("found", () => this.#settle(this.#election.proposal([])));
    else this.#plan();
  }

  /** What the founding waits for, for people; undefined once founded. */
  waiting(): string | undefined {
    if (this.#ledger.state.founding !== undefined) return undefined;
    const missing = this.#missing();
    const total = this.#declared.length;
    const more = majorityOf(this.#declared) - (total - missing.length);
    if (more > 0)
      return `waiting for ${more} more of ${total} declared peers: ${missing.join(", ")}`;
    const last = this.#election.obstacle;
    return `agreeing with the declared peers${last === undefined ? "" : ` (${last})`}`;
  }

  /** Live peers whose founding record is another. */
  foreign(): ForeignMesh[] {
    const mine = this.#ledger.state.founding;
    if (mine === undefined) return [];
    const names = new Map(this.#live().map(({ id, name }) => [id, name]));
    const meshes = new Map<string, string[]>();
    for (const { origin, founding } of this.#records()) {
      const name = names.get(origin);
      if (founding.meshId === mine.meshId || name === undefined) continue;
      meshes.set(founding.meshId, [...(meshes.get(founding.meshId) ?? []), name]);
    }
    return [...meshes].map(([meshId, peers]) => ({ meshId, peers: peers.sort() }));
  }

  #publish(): void {
    const { founding } = this.#ledger.state;
    if (founding !== undefined)
      this.#ports.tables.put("founding", "mesh", encodeFounding(founding));
  }

  /** Makes a record durable unless there is one, then shows it. */
  async #settle(founding: Founding): Promise<void> {
    await this.#ledger.exclusive(async (commit) => {
      if (this.#ledger.state.founding === undefined) await commit({ kind: "founding", founding });
    });
    if (this.#stopped) return;
    this.#publish();
    this.#founded();
  }

  /** Arms the next ballot; an armed one is only ever brought forward, so that it does come. */
  #plan(): void {
    const { clock, random } = this.#ports;
    const missing = this.#missing();
    if (this.#declared.length - missing.length < majorityOf(this.#declared)) {
      this.#disarm();
      this.#majoritySinceMs = undefined;
      return;
    }
    const nowMs = clock.nowMs();
    this.#majoritySinceMs ??= nowMs;
    const graceMs = Math.max(0, this.#majoritySinceMs + TIMES.foundingGraceMs - nowMs);
    const first = this.#attempts === 0 && this.#isFirst();
    const spreadMs = first ? 0 : TIMES.foundingCallMs + (random.u32() % TIMES.foundingCallMs);
    const atMs = nowMs + (missing.length === 0 ? 0 : graceMs) + spreadMs;
    if (this.#attemptAtMs !== undefined && this.#attemptAtMs <= atMs) return;
    this.#arm(atMs - nowMs, () => this.#start("agree", () => this.#agree()));
  }

  async #agree(): Promise<void> {
    this.#attempts++;
    const chosen = await this.#election.attempt(this.#live().map(({ id }) => id));
    if (chosen !== undefined) await this.#settle(chosen);
  }

  #arm(delayMs: number, fire: () => void): void {
    this.#disarm();
    this.#attemptAtMs = this.#ports.clock.nowMs() + delayMs;
    this.#cancelAttempt = this.#ports.clock.timer("ipalloc-found", delayMs, () => {
      this.#attemptAtMs = undefined;
      fire();
    });
  }

  #disarm(): void {
    this.#cancelAttempt?.();
    this.#attemptAtMs = undefined;
  }

  #start(step: "adopt" | "found" | "agree", work: () => Promise<void>): void {
    this.#busy = true;
    void this.#run(step, work);
  }

  async #run(step: string, work: () => Promise<void>): Promise<void> {
    let failed = false;
    try {
      await work();
    } catch (error) {
      failed = true;
      this.#ports.log.error({ err: messageOf(error), step }, "founding failed, will be retried");
    }
    this.#busy = false;
    if (this.#stopped) return;
    // What failed (a full disk) would fail again at once: only after a while.
    if (failed) this.#arm(TIMES.foundingCallMs, () => this.consider());
    else this.consider();
  }

  /** The live peer with the smallest id proposes at once, the others give it time. */
  #isFirst(): boolean {
    const ids = this.#live().map(({ id }) => id);
    return ids.every((id) => id >= this.#election.voter.peer);
  }

  #missing(): string[] {
    const present = new Set(this.#live().map(({ advertise }) => addressKey(advertise)));
    return this.#declared.filter((address) => address !== this.#self && !present.has(address));
  }

  /** Other members in reach. */
  #live(): readonly Member[] {
    return this.#ports.members().filter(({ self, state }) => !self && isLive(state));
  }

  /** The record most peers show, the smallest mesh id of several. */
  #heard(): Founding | undefined {
    const counts = new Map<string, { founding: Founding; peers: number }>();
    for (const { founding } of this.#records()) {
      const peers = (counts.get(founding.meshId)?.peers ?? 0) + 1;
      counts.set(founding.meshId, { founding, peers });
    }
    const order = [...counts.values()].sort(
      (a, b) => b.peers - a.peers || (a.founding.meshId < b.founding.meshId ? -1 : 1),
    );
    return order[0]?.founding;
  }

  #records(): { origin: PeerId; founding: Founding }[] {
    const { tables, log } = this.#ports;
    return tables.rows("founding").flatMap((row) => {
      const founding = tryRead(row, log, (value) => decodeFounding(value, "founding"));
      const foreign = row.origin !== this.#election.voter.peer;
      return founding === undefined || !foreign ? [] : [{ origin: row.origin, founding }];
    });
  }
}

/** Whether a member can be asked. */
export function isLive(state: Member["state"]): boolean {
  return state === "alive" || state === "suspect";
}
