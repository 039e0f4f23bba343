/**
 * How a mesh gets its founding record: adopted from whoever has one, made alone when no peer was
 * named, agreed by the declared peers, or computed from a list of names (`seeder.ts`).
 *
 * Law: a peer that was given peers never founds by itself, however long they are away, an observer
 * never founds nor votes, and who has a record keeps it: another mesh is reported, not merged.
 */

import {
  type Cancel,
  type Clock,
  type HostPort,
  type Log,
  type Member,
  messageOf,
  type PeerId,
  type Random,
  type Rpc,
  type Tables,
  TIMES,
} from "../mesh/index.ts";
import { Declared } from "./declared.ts";
import { Election } from "./election.ts";
import { encodeFounding, type Founding } from "./founding.ts";
import {
  type ForeignMesh,
  type FoundingShown,
  foreignMeshes,
  foundingsShown,
  mostShown,
} from "./founding-rows.ts";
import { adviceFor, type FoundingParts, lackingVotes, waitingText } from "./founding-wait.ts";
import { CONSENSUS, type InitMode } from "./init-mode.ts";
import type { Ledger } from "./ledger.ts";
import type { Problem } from "./problem.ts";
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

export class Founder {
  readonly #ports: FounderPorts;
  readonly #ledger: Ledger;
  readonly #founded: () => void;
  readonly #election: Election;
  readonly #mode: InitMode;
  readonly #seeder: Seeder;
  readonly #declared: Declared;
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
    this.#startedMs = ports.clock.nowMs();
    const declared = new Declared(ports.members, options.advertise, options.declared);
    this.#declared = declared;
    this.#mode = options.init ?? CONSENSUS;
    const { kind } = this.#mode;
    const voter = {
      peer: options.self,
      store: ledger.state.store,
      address: declared.self,
      count: this.#mode.kind === "consensus" ? (this.#mode.count ?? 0) : 0,
      get declared() {
        return declared.addresses;
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
      live: () => declared.live(),
      missing: () => declared.missing(),
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
    const known = mostShown(this.#records());
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
    return (
      this.#declared.count === 1 && count <= 1 && this.#ledger.state.vote.accepted === undefined
    );
  }

  /** What the founding waits for, for people; undefined once founded. */
  waiting(): string | undefined {
    if (this.#ledger.state.founding !== undefined) return undefined;
    return waitingText(this.#parts);
  }

  /** When the founding began to be waited for. */
  get sinceMs(): number {
    return this.#startedMs;
  }

  /** The declared peers that are not here, as `host:port`. */
  get missing(): readonly string[] {
    return this.#declared.missing();
  }

  /** What is wrong with this peer's own part in the founding. */
  problems(): Problem[] {
    return [this.#seeder.problem() ?? []].flat();
  }

  /** What a person can do about it. */
  advice(): string {
    return adviceFor(this.#mode);
  }

  get #parts(): FoundingParts {
    return {
      mode: this.#mode,
      declared: this.#declared,
      voter: this.#election.voter,
      obstacle: this.#election.obstacle,
      seeding: this.#seeder.waiting,
    };
  }

  /** Live peers whose founding record is another. */
  foreign(): ForeignMesh[] {
    const mine = this.#ledger.state.founding;
    if (mine === undefined) return [];
    return foreignMeshes(mine, this.#records(), this.#declared.live());
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
    const missing = this.#declared.missing();
    if (lackingVotes(this.#parts) > 0) {
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
    const chosen = await this.#election.attempt(this.#declared.live().map(({ id }) => id));
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
    const ids = this.#declared.live().map(({ id }) => id);
    return ids.every((id) => id >= this.#election.voter.peer);
  }

  #records(): FoundingShown[] {
    return foundingsShown(this.#ports, this.#election.voter.peer);
  }
}
