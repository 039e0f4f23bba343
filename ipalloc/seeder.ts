/**
 * A peer's part in a seeded mesh: it binds the share of its own name, once, and keeps what is known
 * of who runs the others.
 *
 * Law: the record is computed, so a seed allocates also when it is alone from birth. Before its
 * share is bound every peer in reach is asked, and a share that anyone saw bound to another peer is
 * not taken: a host that lost its disk joins as a new store. Nobody in reach means nobody to ask;
 * what then was bound twice is found when the two meet, and the later one begins anew.
 */

import {
  type Cancel,
  type Clock,
  type Log,
  type Member,
  messageOf,
  type PeerId,
  type Random,
  type Rpc,
  readArray,
  type Tables,
  TIMES,
  type WireValue,
} from "../mesh/index.ts";
import { decodeFounding, encodeFounding, type Founding } from "./founding.ts";
import { initModeText } from "./init-mode.ts";
import { type Ledger, stampMs } from "./ledger.ts";
import { readStore } from "./ownership-codec.ts";
import type { Problem } from "./problem.ts";
import { Retry } from "./retry.ts";
import { tryRead } from "./rows.ts";
import {
  type Binding,
  decodeBindings,
  encodeBindings,
  seedFounding,
  seedStore,
  supersedes,
} from "./seeds.ts";

const SEEDS = "ipalloc.seeds";

export interface SeederPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly tables: Tables;
  readonly rpc: Rpc;
}

export interface SeederOptions {
  readonly self: PeerId;
  readonly name: string;
  /** The names of `seed=`; undefined when this peer was told something else. */
  readonly names: readonly string[] | undefined;
  /** Other members in reach. */
  readonly live: () => readonly Member[];
  /** Declared peers that are not here, as addresses. */
  readonly missing: () => readonly string[];
  /** Called when the founding has become durable. */
  readonly founded: () => void;
}

export class Seeder {
  readonly #ports: SeederPorts;
  readonly #ledger: Ledger;
  readonly #options: SeederOptions;
  readonly #wanted: Founding | undefined;
  /** The store of this peer's own share, when it is a seed. */
  readonly #share: string | undefined;
  readonly #retry: Retry;
  readonly #startedMs: number;
  #obstacle: string | undefined;

  constructor(ports: SeederPorts, ledger: Ledger, options: SeederOptions) {
    const { names, name } = options;
    this.#ports = ports;
    this.#ledger = ledger;
    this.#options = options;
    this.#wanted = names === undefined ? undefined : seedFounding(names);
    if (this.#wanted?.seeds?.includes(name)) {
      this.#share = seedStore(this.#wanted.meshId, name);
    }
    this.#startedMs = ports.clock.nowMs();
    this.#retry = new Retry(ports, "ipalloc-seed", () => this.#found());
  }

  serve(): Cancel[] {
    return [this.#ports.rpc.serve(SEEDS, async (from, body) => this.#onSeeds(from, body))];
  }

  stop(): void {
    this.#retry.stop();
  }

  /** To be called when rows or members changed. */
  consider(): void {
    this.#keep().catch((error: unknown) => {
      this.#ports.log.error({ err: messageOf(error) }, "bindings of seeds could not be kept");
    });
    if (this.#wanted !== undefined && this.#ledger.state.founding === undefined) this.#retry.now();
  }

  /** What the founding waits for. */
  get waiting(): string {
    const share =
      this.#share === undefined ? "" : `whether the share of ${this.#options.name} is free`;
    return this.#obstacle ?? `asking the peers in reach ${share}`;
  }

  /** Why this seed does not have the share of its name. */
  problem(): Problem | undefined {
    const { state } = this.#ledger;
    const { founding, bindings, store } = state;
    const { name } = this.#options;
    if (!founding?.seeds?.includes(name)) return undefined;
    const share = seedStore(founding.meshId, name);
    const binding = bindings.get(share);
    if (binding === undefined || share === store || !state.isPeer(share)) return undefined;
    return {
      code: "SEED_TAKEN",
      text:
        `the share of seed ${name} belongs to peer ${binding.peer.slice(0, 8)}, which had it ` +
        "before: this peer is given space by the others",
      next: "if that is this host before it lost its state, 'tsweave rmpeer' it; else rename one",
    };
  }

  /** Learns and shows who runs which seed, and gives up a share that is another peer's. */
  async #keep(): Promise<void> {
    const { state } = this.#ledger;
    if (state.founding?.seeds === undefined) return;
    const { founding } = state;
    const own = founding.seeds?.some((name) => seedStore(founding.meshId, name) === state.store);
    const { self } = this.#options;
    const heard = this.#rows(founding.meshId);
    if (own && !state.bindings.has(state.store)) heard.push(this.#binding(state.store));
    if (state.unknownBindings(heard).length > 0) {
      await this.#ledger.exclusive(async (commit) => {
        const news = state.unknownBindings(heard);
        if (news.length > 0) await commit({ kind: "bind", bindings: news });
      });
    }
    const bindings = encodeBindings(state.bindings.values());
    this.#ports.tables.put("founding", "seeds", [founding.meshId, bindings]);
    const runner = state.bindings.get(state.store)?.peer;
    if (runner === undefined || runner === self || state.retired) return;
    this.#ports.log.error({ store: state.store, runner }, "another peer runs this seed's share");
    await this.#ledger.exclusive(async (commit) => {
      const { roster, retired } = state;
      if (roster !== undefined && !retired) await commit({ kind: "roster", roster, retired: true });
    });
  }

  /** Resolves with whether the founding is durable. */
  async #found(): Promise<boolean> {
    const { state } = this.#ledger;
    const wanted = this.#wanted;
    if (wanted === undefined || state.founding !== undefined) return true;
    const share = this.#share;
    const isBegun = share !== undefined && state.store === share;
    const heard = this.#rows(wanted.meshId);
    const { clear, bindings } = isBegun ? { clear: true, bindings: [] } : await this.#ask(wanted);
    heard.push(...bindings);
    if (!clear) return false;
    // Also when it was bound to this very peer: then its journal is lost.
    const taken = heard.some(({ store }) => store === share);
    const takes = share !== undefined && (isBegun || !taken);
    if (takes && !isBegun) await this.#ledger.rebirth(share);
    await this.#ledger.exclusive(async (commit) => {
      if (state.founding !== undefined) return;
      await commit({ kind: "founding", founding: wanted });
      const known = takes ? [...heard, this.#binding(share)] : heard;
      const best = latest(state.unknownBindings(known));
      if (best.length > 0) await commit({ kind: "bind", bindings: best });
    });
    const said = { mesh: wanted.meshId, share: takes, taken };
    this.#ports.log.info(said, "founded by the list of seeds");
    this.#options.founded();
    return true;
  }

  /** Asks all peers in reach; `clear` when nothing they said, or left unsaid, forbids to found. */
  async #ask(wanted: Founding): Promise<{ clear: boolean; bindings: Binding[] }> {
    const { rpc, clock } = this.#ports;
    const live = this.#options.live();
    const body = [wanted.meshId, this.#share ?? null];
    const bindings: Binding[] = [];
    const silent: string[] = [];
    const foreign: string[] = [];
    const calls = live.map(async ({ id, name }) => {
      try {
        const reply = await rpc.call(id, SEEDS, body, TIMES.foundingCallMs);
        const [mesh, list] = readArray(reply, "seeds", 2, 8);
        const other = mesh === null ? undefined : decodeFounding(mesh, "seeds");
        if (other === undefined || other.meshId === wanted.meshId) {
          bindings.push(...decodeBindings(list, "seeds"));
        } else foreign.push(`${name} is of mesh ${other.meshId} (${originOf(other)})`);
      } catch (error) {
        silent.push(`${name} ${messageOf(error)}`);
      }
    });
    await Promise.all(calls);
    const mode = initModeText({ kind: "seed", names: wanted.seeds ?? [] });
    this.#obstacle =
      foreign.length > 0
        ? `not founding by ${mode}: ${foreign.join("; ")}`
        : silent.length > 0
          ? `asking whether the share is free: ${silent.join("; ")}`
          : undefined;
    const graceOver = clock.nowMs() - this.#startedMs >= TIMES.foundingGraceMs;
    const complete = silent.length === 0 && this.#options.missing().length === 0;
    return { clear: foreign.length === 0 && (complete || graceOver), bindings };
  }

  /** Answers with this peer's founding, stored or intended, and all bindings that it knows. */
  #onSeeds(from: PeerId, body: WireValue): WireValue {
    const [, wished] = readArray(body, "seeds", 2, 8);
    const { state } = this.#ledger;
    const founding = state.founding ?? this.#wanted;
    const bindings = [...state.bindings.values()];
    if (wished !== null) {
      const store = readStore(wished, "seeds.store");
      // Two fresh peers of one name that ask each other: the smaller id goes first.
      const rival = store === this.#share && this.#options.self < from;
      if (rival && state.founding === undefined) bindings.push(this.#binding(store));
    }
    return [founding === undefined ? null : encodeFounding(founding), encodeBindings(bindings)];
  }

  #binding(store: string): Binding {
    return { store, peer: this.#options.self, atMs: stampMs(this.#ports.clock) };
  }

  /** What other peers' rows of this mesh say. */
  #rows(meshId: string): Binding[] {
    const { tables, log } = this.#ports;
    return tables.rows("founding").flatMap((row) => {
      if (row.key !== "seeds" || row.origin === this.#options.self) return [];
      const found = tryRead(row, log, (value) => {
        const [mesh, list] = readArray(value, "seeds", 2, 8);
        return mesh === meshId ? decodeBindings(list, "seeds") : [];
      });
      return found ?? [];
    });
  }
}

/** How a mesh came to be, for people. */
export function originOf({ seeds }: Founding): string {
  return seeds === undefined
    ? "founded by agreement"
    : initModeText({ kind: "seed", names: seeds });
}

/** Of several bindings of a store the one that stands. */
function latest(bindings: readonly Binding[]): Binding[] {
  const best = new Map<string, Binding>();
  for (const one of bindings) if (supersedes(one, best.get(one.store))) best.set(one.store, one);
  return [...best.values()];
}
