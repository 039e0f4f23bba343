/**
 * Takes over what nobody in the roster owns: the heir's part, and every member's answer to it.
 *
 * Law (R6): space moves only when every other member has adopted the roster, which freezes all
 * removed stores together, and has said after that what it owns. Who cannot answer delays it and is
 * named. The records' generation is above that of everything they replace and at least the roster's
 * number, so nothing that a removed store wrote can reach them, and only the heir that the roster
 * names writes them.
 */
import {
  type Cancel,
  LIMITS,
  messageOf,
  type PeerId,
  readArray,
  readString,
  TIMES,
  TsweaveError,
  type WireValue,
} from "../mesh/index.ts";
import { type Cidr, parseCidr } from "./cidr.ts";
import type { FounderPorts } from "./founder.ts";
import { type Commit, type Ledger, learn } from "./ledger.ts";
import {
  type Interval,
  join,
  type Ownership,
  remainder,
  STEP_MAX,
  type StoreId,
} from "./ownership.ts";
import { decodeOwnership, encodeOwnership, readStore } from "./ownership-codec.ts";
import type { Pool } from "./pool.ts";
import { type Range, RangeSet } from "./range-set.ts";
import { Retry } from "./retry.ts";
import { type Roster, type RosterEntry, rosterKey } from "./roster.ts";
import { decodeRoster, encodeRoster } from "./roster-codec.ts";
import { shownByOwners, shownOf } from "./rows.ts";

const REPORT = "ipalloc.report";
/** Members asked at the same time. */
const ASKED_AT_ONCE = 16;

/** A member's answer: what it owns and gave of a pool, and which addresses run there. */
interface Report {
  readonly store: StoreId;
  readonly records: Ownership;
  readonly running: readonly Range[];
}

export class Heir {
  /** Members that have not answered in the last round. */
  missing: readonly PeerId[] = [];
  /** Clock of the first round that was not finished. */
  sinceMs: number | undefined;
  readonly #ports: FounderPorts;
  readonly #ledger: Ledger;
  readonly #self: PeerId;
  readonly #changed: () => void;
  readonly #retry: Retry;

  constructor(ports: FounderPorts, ledger: Ledger, self: PeerId, changed: () => void) {
    this.#ports = ports;
    this.#ledger = ledger;
    this.#self = self;
    this.#changed = changed;
    this.#retry = new Retry(ports, "ipalloc-heir", () => this.#round());
  }

  serve(): Cancel[] {
    return [this.#ports.rpc.serve(REPORT, (_, body) => this.#onReport(body))];
  }

  stop(): void {
    this.#retry.stop();
  }

  /** To be called when the roster or ownership changed. */
  consider(): void {
    if (this.#duty().length > 0) this.#retry.now();
    else this.sinceMs = undefined;
  }

  /** Pools with space that nobody in the roster owns, if this store is the heir. */
  #duty(): Pool[] {
    const { state } = this.#ledger;
    const { roster } = state;
    if (roster === undefined || roster.removedAt === 0) return [];
    if (!state.isMember || roster.heir !== state.store) return [];
    return [...state.pools.values()].filter((pool) => this.orphaned(pool).length > 0);
  }

  /** What nobody in the roster owns, as far as it is known here. */
  orphaned(pool: Pool): Ownership {
    const { state } = this.#ledger;
    const isMember = (store: StoreId) => state.isPeer(store);
    const own = pool.ownership.filter(({ owner }) => owner === state.store);
    if (remainder(pool.ownership, own, isMember).length === 0) return [];
    const shown = join(own, shownByOwners(this.#ports.tables, state, pool.cidr, this.#ports.log));
    return remainder(pool.ownership, shown, isMember);
  }

  /** Resolves with whether nothing is left. */
  async #round(): Promise<boolean> {
    const pools = this.#duty();
    const { roster } = this.#ledger.state;
    if (pools.length === 0 || roster === undefined) {
      this.sinceMs = undefined;
      this.missing = [];
      return true;
    }
    this.sinceMs ??= this.#ports.clock.nowMs();
    for (const pool of pools) await this.#takeOver(pool, roster);
    return this.#duty().length === 0;
  }

  async #takeOver(pool: Pool, base: Roster): Promise<void> {
    const { state } = this.#ledger;
    const others = base.members.filter(({ store }) => store !== state.store);
    const reports = await this.#collect(others, base, pool.cidr);
    const silent = others.filter((_, index) => reports[index] === undefined);
    this.missing = silent.map(({ peer }) => peer);
    if (silent.length > 0) return;
    const answers = reports.filter((report) => report !== undefined);
    const taken = await this.#ledger.exclusive((commit) => this.#take(commit, pool, base, answers));
    if (taken === 0n) return;
    const pair = { pool: pool.cidr.text, addresses: String(taken), roster: base.number };
    this.#ports.log.warn(pair, "took over the space of removed peers");
    this.#changed();
  }

  /** Writes the records; only if the roster is still the one that everybody answered for. */
  async #take(
    commit: Commit,
    pool: Pool,
    base: Roster,
    answers: readonly Report[],
  ): Promise<bigint> {
    const { state } = this.#ledger;
    if (state.roster !== base || !state.isMember) return 0n;
    const isMember = (store: StoreId) => state.isPeer(store);
    let view = pool.ownership;
    let shown: Ownership = pool.ownership.filter(({ owner }) => owner === state.store);
    for (const { store, records } of answers) {
      view = join(view, records);
      shown = join(
        shown,
        records.filter(({ owner }) => owner === store),
      );
    }
    const rest = remainder(view, shown, isMember);
    const generation = rest.reduce((most, one) => Math.max(most, one.generation + 1), base.number);
    if (generation > STEP_MAX) return 0n; // Only a hostile member writes that high.
    const free = new RangeSet(rest);
    const records: Interval[] = [];
    const record = { generation, step: 0, by: state.store };
    for (const { store, running } of answers) {
      for (const part of overlap(free, running)) {
        records.push({ ...part, ...record, owner: store });
        free.remove(part.start, part.end);
      }
    }
    const taken = free.size;
    for (const part of free.ranges()) records.push({ ...part, ...record, owner: state.store });
    records.sort((a, b) => (a.start < b.start ? -1 : 1));
    await learn(commit, pool, join(view, join([], records)));
    return taken;
  }

  async #collect(
    members: readonly RosterEntry[],
    base: Roster,
    cidr: Cidr,
  ): Promise<(Report | undefined)[]> {
    const reports: (Report | undefined)[] = [];
    for (let from = 0; from < members.length; from += ASKED_AT_ONCE) {
      const some = members.slice(from, from + ASKED_AT_ONCE);
      reports.push(...(await Promise.all(some.map((member) => this.#ask(member, base, cidr)))));
    }
    return reports;
  }

  async #ask(member: RosterEntry, base: Roster, cidr: Cidr): Promise<Report | undefined> {
    const { rpc, log } = this.#ports;
    const body = [this.#ledger.state.founding?.meshId ?? "", encodeRoster(base), cidr.text];
    try {
      const reply = await rpc.call(member.peer, REPORT, body, TIMES.rosterCallMs);
      const [store, records, running] = readArray(reply, "report", 3, 8);
      const report = {
        store: readStore(store, "report.store"),
        records: decodeOwnership(records, "report", cidr),
        running: decodeOwnership(running, "report.running", cidr),
      };
      return report.store === member.store ? report : undefined;
    } catch (error) {
      log.debug({ peer: member.peer, err: messageOf(error) }, "no report to the heir");
      return undefined;
    }
  }

  /** Adopts the heir's roster, which freezes whom it removed, then says what is owned here. */
  async #onReport(body: WireValue): Promise<WireValue> {
    const [mesh, given, subnet] = readArray(body, "report", 3, 8);
    const { state } = this.#ledger;
    state.requireMesh(mesh);
    const base = decodeRoster(given, "report.roster");
    const cidr = parseCidr(readString(subnet, "report.subnet", 64));
    return await this.#ledger.exclusive(async (commit) => {
      const adoption = state.adoption(base);
      if (adoption !== undefined) await commit(adoption);
      if (!state.isMember) throw new TsweaveError("BAD_REQUEST", "is no member any more");
      if (state.roster === undefined || rosterKey(state.roster) !== rosterKey(base)) {
        throw new TsweaveError("BAD_REQUEST", "knows a newer roster");
      }
      const pool = state.ensurePool(cidr);
      return [
        state.store,
        encodeOwnership(shownOf(state, pool), cidr.bits),
        encodeOwnership(this.#running(pool), cidr.bits),
      ];
    });
  }

  /** Addresses in use on this host that it does not own, as intervals. */
  #running(pool: Pool): Ownership {
    const running = new RangeSet();
    const add = (address: bigint) => {
      if (!pool.owns(address)) running.add(address, address + 1n);
    };
    for (const [address] of pool.leases.entries()) add(address);
    for (const [address, peer] of pool.running()) if (peer === this.#self) add(address);
    const { store } = pool;
    const record = { generation: 0, step: 0, owner: store, by: store };
    const view = [...running.ranges()].map((range) => ({ ...range, ...record }));
    if (view.length <= LIMITS.intervalsPerRowMax) return view;
    throw new TsweaveError("BAD_REQUEST", "runs more addresses of others than can be told");
  }
}

/** The parts of `ranges` that are in the set. */
function overlap(set: RangeSet, ranges: readonly Range[]): Range[] {
  const outside = new RangeSet(set.ranges());
  for (const { start, end } of ranges) outside.remove(start, end);
  const inside = new RangeSet(set.ranges());
  for (const { start, end } of outside.ranges()) inside.remove(start, end);
  return [...inside.ranges()];
}
