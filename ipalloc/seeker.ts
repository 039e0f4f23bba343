/**
 * When and whom this store asks for space.
 *
 * Law: it asks as soon as it is a member and knows a pool, not when the first container comes,
 * and again below a quarter of what it owns; requests are spaced, so a full mesh is not flooded.
 */
import { type Cancel, type Member, messageOf, type PeerId, TIMES } from "../mesh/index.ts";
import type { Cidr } from "./cidr.ts";
import type { FounderPorts } from "./founder.ts";
import type { Ledger } from "./ledger.ts";
import { clip } from "./ownership.ts";
import type { Pool } from "./pool.ts";
import { isLive } from "./reach.ts";
import { directoryOf } from "./rows.ts";
import { askForSpace } from "./space.ts";

/** A store does not ask while it could still give this many addresses. */
const ENOUGH = 1024n;
/** Donors tried in one round, the one with most free space first. */
const DONORS_PER_ROUND = 8;

interface Search {
  busy: boolean;
  pauseMs: number;
  cancel: Cancel | undefined;
  /** Names one wish: a repetition to the same donor is answered with the same block. */
  nonce: string;
  outcome: string | undefined;
}

export class Seeker {
  readonly #ports: FounderPorts;
  readonly #ledger: Ledger;
  readonly #changed: () => void;
  readonly #paused: () => boolean;
  /** By CIDR. BOUNDED: one per open pool, networksMax. */
  readonly #searches = new Map<string, Search>();
  #stopped = false;

  /** `paused`: this store is leaving and takes nothing more. */
  constructor(
    ports: FounderPorts,
    ledger: Ledger,
    changed: () => void,
    paused: () => boolean = () => false,
  ) {
    this.#ports = ports;
    this.#ledger = ledger;
    this.#changed = changed;
    this.#paused = paused;
  }

  stop(): void {
    this.#stopped = true;
    for (const search of this.#searches.values()) search.cancel?.();
  }

  /** Starts a search for every open pool that runs low and has none under way. */
  consider(): void {
    for (const pool of this.#ledger.state.pools.values()) {
      if (!this.#wants(pool)) continue;
      const search = this.#search(pool);
      if (search.cancel === undefined) this.#start(pool, search, undefined);
    }
  }

  /** As consider, now: membership changed, or a request waits for this pool. */
  urge(pool: Pool, within?: Cidr): void {
    if (!pool.open || !this.#ledger.state.isMember || this.#paused()) return;
    this.#start(pool, this.#search(pool), within);
  }

  /** Forgets the search of a closed pool. */
  forget(pool: Pool): void {
    this.#searches.get(pool.cidr.text)?.cancel?.();
    this.#searches.delete(pool.cidr.text);
  }

  /** What came of the last round for a pool, for people. */
  outcome(pool: Pool): string | undefined {
    return this.#searches.get(pool.cidr.text)?.outcome;
  }

  #wants(pool: Pool): boolean {
    if (!pool.open || !this.#ledger.state.isMember || this.#paused()) return false;
    pool.wake(this.#ports.clock.nowMs());
    const enough = pool.owned / 4n < ENOUGH ? pool.owned / 4n : ENOUGH;
    return pool.free === 0n || pool.free < enough;
  }

  #search(pool: Pool): Search {
    const known = this.#searches.get(pool.cidr.text);
    if (known !== undefined) return known;
    const search: Search = {
      busy: false,
      pauseMs: TIMES.spaceRetryMs,
      cancel: undefined,
      nonce: this.#nonce(),
      outcome: undefined,
    };
    this.#searches.set(pool.cidr.text, search);
    return search;
  }

  #start(pool: Pool, search: Search, within: Cidr | undefined): void {
    if (search.busy || this.#stopped) return;
    search.cancel?.();
    search.cancel = undefined;
    search.busy = true;
    void this.#run(pool, search, within);
  }

  async #run(pool: Pool, search: Search, within: Cidr | undefined): Promise<void> {
    try {
      await this.#round(pool, search, within);
    } catch (error) {
      search.outcome = messageOf(error);
      this.#ports.log.warn({ pool: pool.cidr.text, err: search.outcome }, "asking failed");
    }
    this.#finish(pool, search);
  }

  #finish(pool: Pool, search: Search): void {
    search.busy = false;
    if (this.#stopped || !this.#wants(pool)) {
      search.pauseMs = TIMES.spaceRetryMs;
      return;
    }
    search.cancel = this.#ports.clock.timer("ipalloc-space", search.pauseMs, () => {
      search.cancel = undefined;
      if (this.#wants(pool)) this.#start(pool, search, undefined);
    });
    search.pauseMs = Math.min(search.pauseMs * 2, TIMES.spaceRetryMsMax);
  }

  async #round(pool: Pool, search: Search, within: Cidr | undefined): Promise<void> {
    const outcomes: string[] = [];
    for (const { id: peer, name } of this.#donors(pool, within).slice(0, DONORS_PER_ROUND)) {
      const before = pool.owned;
      try {
        const request = { peer, pool, nonce: search.nonce, within };
        await askForSpace(this.#ports, this.#ledger, request);
      } catch (error) {
        outcomes.push(`${name} ${messageOf(error)}`);
        continue;
      }
      search.nonce = this.#nonce();
      search.outcome = undefined;
      if (this.#stopped) return;
      if (pool.owned > before) return this.#changed();
      outcomes.push(`${name} repeated an old gift`);
    }
    search.outcome =
      outcomes.length > 0 ? outcomes.join("; ") : "no peer with free space can be reached";
  }

  /** Live peers whose stores own some of the wanted part, the most free first. */
  #donors(pool: Pool, within: Cidr | undefined): Member[] {
    const { state } = this.#ledger;
    const directory = directoryOf(this.#ports.tables, state, this.#ports.log);
    const { start, end } = within ?? pool.cidr;
    const free = new Map<PeerId, number>();
    for (const interval of clip(pool.ownership, start, end)) {
      const peer = directory.peerOf(interval.owner);
      if (peer === undefined || interval.owner === state.store) continue;
      const before = free.get(peer) ?? -directory.used(interval.owner, pool.cidr.text);
      free.set(peer, before + Number(interval.end - interval.start));
    }
    return this.#ports
      .members()
      .filter(({ id, state: member }) => free.has(id) && isLive(member))
      .sort((a, b) => (free.get(b.id) ?? 0) - (free.get(a.id) ?? 0));
  }

  #nonce(): string {
    return Buffer.from(this.#ports.random.bytes(8)).toString("hex");
  }
}
