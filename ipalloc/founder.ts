/**
 * How a mesh gets its founding record: adopted from whoever has one, made alone when no peer was
 * named, agreed by the declared peers, or computed from a list of names (`seeder.ts`).
 *
 * Law: a peer that was given peers never founds by itself, however long they are away, an observer
 * never founds nor votes, and who has a record keeps it: another mesh is reported, not merged.
 */

import {
  addressesOf,
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
import { addressKey, encodeFounding, type Founding, lackOf } from "./founding.ts";
import { foundingsShown } from "./founding-rows.ts";
import { CONSENSUS, type InitMode } from "./init-mode.ts";
import type { Ledger } from "./ledger.ts";
import type { Problem } from "./problem.ts";
import { isLive } from "./reach.ts";
import { Seeder } from "./seeder.ts";

/** Enough for whoever is in reach to be met and to show what it knows. */
const LOSS_GRACE_MS = 3 * TIMES.foundingGraceMs;

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
  /** Default: consensus. */
  readonly init?: InitMode;
  /** This peer's name; seeds are known by it. */
  readonly name?: string;
}

/** Another mesh that is in reach. */
export interface ForeignMesh {
  readonly meshId: string;
  readonly peers: readonly string[];
  readonly seeds: readonly string[] | undefined;
}

export class Founder {
  readonly #ports: FounderPorts;
  readonly #ledger: Ledger;
  readonly #founded: () => void;
  readonly #election: Election;
  readonly #mode: InitMode;
  readonly #seeder: Seeder;
  /** Every declared peer and this one, as `host:port`. BOUNDED: declaredMax. */
  readonly #named: readonly string[];
  readonly #self: string;
  readonly #cancels: Cancel[] = [];
  #cancelAttempt: Cancel | undefined;
  #attemptAtMs: number | undefined;
  #majoritySinceMs: number | undefined;
  readonly #startedMs: number;
  #busy = false;
  #attempts = 0;
  #stopped = false;

  constructor(ports: FounderPorts, options: FounderOptions, ledger: Ledger, founded: () => void) {
    this.#ports = ports;
    this.#ledger = ledger;
    this.#founded = founded;
    this.#self = addressKey(options.advertise);
    this.#startedMs = ports.clock.nowMs();
    const named = new Set([this.#self, ...options.declared.map(addressKey)]);
    this.#named = [...named].slice(0, LIMITS.declaredMax);
    this.#mode = options.init ?? CONSENSUS;
    const { kind } = this.#mode;
    const declared = (): readonly string[] => this.#declared;
    const voter = {
      peer: options.self,
      store: ledger.state.store,
      address: this.#self,
      count: this.#mode.kind === "consensus" ? (this.#mode.count ?? 0) : 0,
      get declared() {
        return declared();
      },
    };
    const abstains = { consensus: undefined, seed: "founds by its list of seeds and never votes" };
    const why = { ...abstains, observer: "is an observer and never votes" }[kind];
    const nameOf = (peer: PeerId) =>
      ports.members().find(({ id }) => id === peer)?.name ?? `peer ${peer.slice(0, 8)}`;
    this.#election = new Election({ ...ports, nameOf }, ledger, voter, why);
    this.#seeder = new Seeder(ports, ledger, {
      self: options.self,
      name: options.name ?? "",
      names: this.#mode.kind === "seed" ? this.#mode.names : undefined,
      live: () => this.#live(),
      missing: () => this.#missing(),
      founded: () => {
        if (this.#stopped) return;
        this.#publish();
        founded();
      },
    });
  }

  start(): void {
    this.#cancels.push(
      ...this.#election.serve(),
      ...this.#seeder.serve(),
      this.#ports.tables.watch("founding", () => this.consider()),
    );
    this.consider();
  }

  stop(): void {
    this.#stopped = true;
    this.#disarm();
    this.#seeder.stop();
    for (const cancel of this.#cancels.splice(0)) cancel();
  }

  /** Looks again at rows and members; called whenever either changed. */
  consider(): void {
    if (this.#stopped || this.#busy) return;
    this.#seeder.consider();
    if (this.#ledger.state.founding !== undefined) {
      this.#publish();
      return;
    }
    if (this.#mode.kind === "seed") return;
    const known = this.#heard();
    if (known !== undefined) this.#start("adopt", () => this.#settle(known));
    else if (this.#mode.kind === "observer") return;
    else if (this.#isAlone) this.#foundAlone();
    else this.#plan();
  }

  /** At once; after a loss only when nobody shows up who knows the mesh that was forgotten. */
  #foundAlone(): void {
    const found = () => this.#start("found", () => this.#settle(this.#election.proposal([])));
    const untilMs = this.#startedMs + LOSS_GRACE_MS;
    const leftMs = this.#ledger.losses.length === 0 ? 0 : untilMs - this.#ports.clock.nowMs();
    if (leftMs <= 0) found();
    else if (this.#attemptAtMs === undefined) this.#arm(leftMs, () => this.consider());
  }

  /** No peer was named nor counted, and nobody's vote is outstanding. */
  get #isAlone(): boolean {
    const { count } = this.#election.voter;
    return this.#named.length === 1 && count <= 1 && this.#ledger.state.vote.accepted === undefined;
  }

  /** What the founding waits for, for people; undefined once founded. */
  waiting(): string | undefined {
    if (this.#ledger.state.founding !== undefined) return undefined;
    if (this.#mode.kind === "seed") return this.#seeder.waiting;
    if (this.#mode.kind === "observer") return this.#observed();
    const missing = this.#missing();
    const { count, declared } = this.#election.voter;
    const total = Math.max(count, declared.length);
    const unnamed = total - declared.length;
    const more = this.#lack();
    if (more > 0) {
      const others = unnamed === 0 ? [] : [`${unnamed} that are not named`];
      const who = [...missing, ...others].join(", ");
      return `waiting for ${more} more of ${total} declared peers: ${who}`;
    }
    const last = this.#election.obstacle;
    return `agreeing with the declared peers${last === undefined ? "" : ` (${last})`}`;
  }

  /** What is wrong with this peer's own part in the founding. */
  problems(): Problem[] {
    return [this.#seeder.problem() ?? []].flat();
  }

  /** What a person can do about it. */
  advice(): string {
    if (this.#mode.kind === "observer") {
      return "launch a peer that founds (not an observer) and name it here: tsweave connect PEER";
    }
    if (this.#mode.kind === "seed") {
      return "use the same --ipalloc-init on all hosts; see 'tsweave status ipam'";
    }
    return "start tsweave on those peers, or launch without naming peers to found a mesh alone";
  }

  #observed(): string {
    const live = this.#live().map(({ name }) => name);
    const who = live.length === 0 ? "no peer is in reach" : `${live.join(", ")} not founded yet`;
    return `this peer is an observer and waits for a mesh that others found: ${who}`;
  }

  /** Votes that are lacking even if all who are here agree. */
  #lack(): number {
    const present = this.#presentAddresses().map(({ first }) => first);
    return lackOf(this.#election.voter, new Set([this.#self, ...present]));
  }

  /** Live peers whose founding record is another. */
  foreign(): ForeignMesh[] {
    const mine = this.#ledger.state.founding;
    if (mine === undefined) return [];
    const names = new Map(this.#live().map(({ id, name }) => [id, name]));
    const meshes = new Map<string, ForeignMesh>();
    for (const { origin, founding } of this.#records()) {
      const name = names.get(origin);
      if (founding.meshId === mine.meshId || name === undefined) continue;
      const { meshId, seeds } = founding;
      const known = meshes.get(meshId)?.peers ?? [];
      meshes.set(meshId, { meshId, seeds, peers: [...known, name].sort() });
    }
    return [...meshes.values()];
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
    if (this.#lack() > 0) {
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

  /**
   * The declared peers, each once: who is here goes by its first address, whichever of them was
   * named, as it does in its own vote.
   */
  get #declared(): readonly string[] {
    const firsts = new Map<string, string>();
    for (const { first, others } of this.#presentAddresses()) {
      for (const address of others) if (!firsts.has(address)) firsts.set(address, first);
    }
    for (const { first } of this.#presentAddresses()) firsts.set(first, first);
    return [...new Set(this.#named.map((address) => firsts.get(address) ?? address))];
  }

  #presentAddresses(): { readonly first: string; readonly others: readonly string[] }[] {
    return this.#live().map((member) => {
      const [first = "", ...others] = addressesOf(member).map(addressKey);
      return { first, others };
    });
  }

  #missing(): string[] {
    const present = new Set(this.#presentAddresses().map(({ first }) => first));
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

  #records(): ReturnType<typeof foundingsShown> {
    return foundingsShown(this.#ports, this.#election.voter.peer);
  }
}
