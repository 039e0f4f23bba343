/**
 * The two ways out of the roster: this peer leaves and hands its space on, or an operator calls
 * peers gone for good.
 *
 * Law: who leaves stops granting first, then gives as any owner gives, then asks to be taken out.
 * A word of an operator is on disk before it is acted on and is carried on after a restart.
 */
import {
  type Cancel,
  messageOf,
  type PeerId,
  readArray,
  readString,
  TIMES,
  TsweaveError,
  type WireValue,
} from "../mesh/index.ts";
import { parseCidr } from "./cidr.ts";
import type { ForgetAssertion, ForgetResult, LeaveResult } from "./departures.ts";
import { hearRosters, tellRoster } from "./farewell.ts";
import type { FounderPorts } from "./founder.ts";
import type { Heir } from "./heir.ts";
import { type Ledger, learn, stampMs } from "./ledger.ts";
import { give, join, type Ownership, slices } from "./ownership.ts";
import { decodeOwnership, encodeOwnership } from "./ownership-codec.ts";
import type { Pool } from "./pool.ts";
import { othersInReach } from "./reach.ts";
import type { Registrar } from "./registrar.ts";
import { consentOf, electorsOf, nextRoster, type Roster, type RosterEntry } from "./roster.ts";
import type { Wish } from "./roster-codec.ts";
import { acceptable } from "./rows.ts";

const HANDOVER = "ipalloc.handover";

export interface PartingParts {
  readonly registrar: Registrar;
  readonly heir: Heir;
  /** A peer's name, or the beginning of its id. */
  readonly nameOf: (peer: PeerId) => string;
  readonly changed: () => void;
}

export class Parting {
  readonly #ports: FounderPorts;
  readonly #ledger: Ledger;
  readonly #parts: PartingParts;

  constructor(ports: FounderPorts, ledger: Ledger, parts: PartingParts) {
    this.#ports = ports;
    this.#ledger = ledger;
    this.#parts = parts;
  }

  serve(): Cancel[] {
    const { rpc } = this.#ports;
    return [
      rpc.serve(HANDOVER, (_, body) => this.#onHandover(body)),
      hearRosters(this.#ports, this.#ledger, this.#parts.registrar),
    ];
  }

  /** See Departures.forget. */
  async forget(
    peers: readonly PeerId[],
    assertion: ForgetAssertion,
    deadlineMs: number = TIMES.departureDeadlineMs,
  ): Promise<ForgetResult> {
    const { state } = this.#ledger;
    const roster = this.#memberRoster();
    const named = new Set(peers);
    for (const peer of named) this.#checkForgettable(roster, peer);
    const stores = roster.members.filter(({ peer }) => named.has(peer)).map(({ store }) => store);
    const names = [...named].map(this.#parts.nameOf);
    const gone = new Set([...stores, ...state.wishes.map(({ store }) => store)]);
    const vouched = assertion === "gone-for-good-with-majority";
    if (stores.length > 0 && consentOf(roster, gone, vouched) === undefined) {
      throw this.#noMajority(roster, names);
    }
    const sinceMs = stampMs(this.#ports.clock);
    const wishes = stores.map((store): Wish => ({ store, assertion, sinceMs }));
    if (wishes.length > 0) await this.#parts.registrar.wish(wishes);
    const isGone = () => stores.every((store) => !state.isPeer(store));
    const settled = () => isGone() && this.#orphans() === 0;
    const { registrar } = this.#parts;
    if (await registrar.until(isGone, deadlineMs)) {
      const patienceMs = Math.min(deadlineMs, 2 * TIMES.rosterCallMs);
      await registrar.until(settled, patienceMs, TIMES.rosterRetryMs / 5);
    }
    return this.#forgetResult(stores.length === 0 || isGone(), settled(), names);
  }

  /** See Departures.leave. */
  async leave(force: boolean, deadlineMs: number): Promise<LeaveResult> {
    const { state } = this.#ledger;
    const { registrar, nameOf } = this.#parts;
    const { roster } = state;
    const none = { heir: null, addresses: 0 };
    if (roster === undefined || !state.isMember) {
      registrar.leave(true);
      return { ...none, state: "left", text: "this peer is in no roster" };
    }
    const heir = this.#heirOf(roster);
    const alone = roster.members.length === 1;
    if (heir === undefined && !alone && !force) throw nobodyHere();
    await this.#stopGranting(force);
    if (alone) {
      return { ...none, state: "alone", text: "this peer is the only member of its mesh" };
    }
    try {
      const addresses = heir === undefined ? 0 : await this.#handOver(heir);
      const name = heir === undefined ? null : nameOf(heir.peer);
      const gone = await registrar.until(() => !state.isMember, deadlineMs);
      const known = gone && (await tellRoster(this.#ports, this.#ledger)) > 0;
      if (gone || force) return leaveResult(known, name, addresses);
    } catch (error) {
      registrar.leave(false);
      throw error;
    }
    registrar.leave(false);
    throw this.#notLeft();
  }

  /** In a turn of its own: a grant under way is either seen here or refused. */
  #stopGranting(force: boolean): Promise<void> {
    const { pools } = this.#ledger.state;
    return this.#ledger.exclusive(() => {
      const held = [...pools.values()].reduce((sum, { leases }) => sum + leases.count, 0);
      if (held > 0 && !force) throw inUse(held);
      this.#parts.registrar.leave(true);
    });
  }

  /** Addresses that nobody in the roster owns, as known here. */
  #orphans(): number {
    let sum = 0;
    for (const pool of this.#ledger.state.pools.values()) {
      sum += this.#parts.heir.orphaned(pool).length;
    }
    return sum;
  }

  #forgetResult(gone: boolean, settled: boolean, names: readonly string[]): ForgetResult {
    const { registrar, heir, nameOf } = this.#parts;
    const { roster, store } = this.#ledger.state;
    const heirEntry = roster?.members.find((member) => member.store === roster.heir);
    const heirName = heirEntry === undefined ? null : nameOf(heirEntry.peer);
    const about = names.join(", ");
    const base = { peers: names, heir: heirName };
    if (!gone) {
      const waitingFor = (registrar.obstacle?.missing ?? []).map(nameOf);
      const text = `${about} will be removed when ${list(waitingFor, "enough electors")} answer`;
      return { ...base, state: "pending", waitingFor, text };
    }
    if (settled) {
      const text = `${about} removed; their addresses belong to ${heirName ?? "nobody"}`;
      return { ...base, state: "done", waitingFor: [], text };
    }
    const mine = roster?.heir === store;
    const waitingFor = mine ? heir.missing.map(nameOf) : heirName === null ? [] : [heirName];
    const who = list(waitingFor, "all");
    const text = `${about} removed; their addresses follow when ${who} answered`;
    return { ...base, state: "reclaiming", waitingFor, text };
  }

  #memberRoster(): Roster {
    const { roster, isMember } = this.#ledger.state;
    if (roster === undefined) {
      throw new TsweaveError("NOT_FOUNDED", "the mesh has not been founded yet", {
        hint: "see 'tsweave status ipam' for what it waits for",
      });
    }
    if (isMember) return roster;
    throw new TsweaveError("BAD_REQUEST", "this peer is no member of the roster itself", {
      hint: "run the command on a member, see 'tsweave status ipam'",
    });
  }

  #checkForgettable(roster: Roster, peer: PeerId): void {
    const name = this.#parts.nameOf(peer);
    const member = this.#ports.members().find(({ id }) => id === peer);
    if (member?.self) {
      throw new TsweaveError("BAD_REQUEST", `${name} is this peer`, {
        hint: "use 'tsweave leave'",
      });
    }
    const present = this.#parts.registrar.present();
    if (roster.members.some((one) => one.peer === peer && present.has(one.store))) {
      throw new TsweaveError("BAD_REQUEST", `${name} is alive, so it is not gone for good`, {
        hint: `run 'tsweave leave' on ${name}, or stop its daemon first`,
      });
    }
    if (hasPeer(roster.members, peer) || hasPeer(roster.former, peer)) return;
    throw new TsweaveError("NOT_FOUND", `${name} is not in the roster`, {
      hint: "see 'tsweave status ipam'",
    });
  }

  #noMajority(roster: Roster, names: readonly string[]): TsweaveError {
    const { nameOf } = this.#parts;
    const electors = electorsOf(roster).map(({ peer }) => nameOf(peer));
    return new TsweaveError(
      "NO_MAJORITY",
      `a majority of the electors (${electors.join(", ")}) would be gone with ${names.join(", ")}`,
      {
        hint:
          "if they are gone for good, nobody joined or was removed through them unseen by the " +
          "peers that remain, and nobody says the same of these peers: tsweave rmpeer " +
          `--majority-lost ${names.join(" ")}`,
      },
    );
  }

  #heirOf(roster: Roster): RosterEntry | undefined {
    const live = othersInReach(this.#ports.members());
    const { store } = this.#ledger.state;
    const others = roster.members.filter(
      ({ peer, store: other }) => other !== store && live.has(peer),
    );
    if (others.length === 0) return undefined;
    const change = { admit: [], forget: new Set<string>(), leave: new Set([store]) };
    const heir = nextRoster(roster, change, new Set(others.map((other) => other.store)))?.heir;
    return others.find((other) => other.store === heir);
  }

  /** Gives everything away, on disk first; resolves with the number of addresses. */
  async #handOver(heir: RosterEntry): Promise<number> {
    let addresses = 0n;
    for (const pool of this.#ledger.state.pools.values()) {
      const gifts = await this.#giveAll(pool, heir);
      for (const { start, end } of gifts) addresses += end - start;
      for (const part of slices(gifts)) await this.#tell(heir, pool, part);
    }
    this.#parts.changed();
    return Number(addresses);
  }

  #giveAll(pool: Pool, heir: RosterEntry): Promise<Ownership> {
    return this.#ledger.exclusive(async (commit) => {
      const { state } = this.#ledger;
      if (!state.isMember || !state.isPeer(heir.store)) return [];
      let gifts: Ownership = [];
      for (const own of pool.ownership.filter(({ owner }) => owner === state.store)) {
        gifts = join(gifts, give(pool.ownership, own, state.store, heir.store) ?? []);
      }
      if (gifts.length > 0) await commit({ kind: "own", cidr: pool.cidr, records: gifts });
      return gifts;
    });
  }

  /** The row says it too; asked so that the heir has it before this peer is out. */
  async #tell(heir: RosterEntry, pool: Pool, gifts: Ownership): Promise<void> {
    const { founding } = this.#ledger.state;
    const { cidr } = pool;
    const body = [founding?.meshId ?? "", cidr.text, encodeOwnership(gifts, cidr.bits)];
    try {
      await this.#ports.rpc.call(heir.peer, HANDOVER, body, TIMES.rosterCallMs);
    } catch (error) {
      this.#ports.log.warn({ peer: heir.peer, err: messageOf(error) }, "gift not confirmed");
    }
  }

  async #onHandover(body: WireValue): Promise<WireValue> {
    const [mesh, subnet, list] = readArray(body, "handover", 3, 8);
    const { state } = this.#ledger;
    state.requireMesh(mesh);
    const cidr = parseCidr(readString(subnet, "handover.subnet", 64));
    const records = decodeOwnership(list, "handover", cidr);
    await this.#ledger.exclusive((commit) =>
      learn(commit, state.ensurePool(cidr), acceptable(state, records, undefined)),
    );
    this.#parts.changed();
    return null;
  }

  #notLeft(): TsweaveError {
    const missing = (this.#parts.registrar.obstacle?.missing ?? []).map(this.#parts.nameOf);
    return new TsweaveError(
      "TIMED_OUT",
      `not left: ${list(missing, "enough electors")} did not answer in time`,
      {
        hint:
          "until the roster is settled with them this peer gives out no address; retry when they " +
          "are back, or leave with force and 'tsweave rmpeer' this peer there",
      },
    );
  }
}

function hasPeer(entries: readonly RosterEntry[], peer: PeerId): boolean {
  return entries.some((entry) => entry.peer === peer);
}

function list(names: readonly string[], otherwise: string): string {
  return names.length > 0 ? names.join(", ") : otherwise;
}

function nobodyHere(): TsweaveError {
  return new TsweaveError("PEER_UNREACHABLE", "no other member can be reached to take the space", {
    hint: "retry when one is back, or leave with force and 'tsweave rmpeer' this peer there",
  });
}

function inUse(count: number): TsweaveError {
  return new TsweaveError("BAD_REQUEST", `${count} addresses are in use on this host`, {
    hint: "remove the containers of tsweave networks first, or leave with force",
  });
}

function leaveResult(gone: boolean, heir: string | null, addresses: number): LeaveResult {
  const handed = heir === null ? "nothing was handed on" : `${heir} has its ${addresses} addresses`;
  if (gone) return { state: "left", heir, addresses, text: `left the roster; ${handed}` };
  const text = `gone without the others' word; ${handed}; run 'tsweave rmpeer' on a member`;
  return { state: "forced", heir, addresses, text };
}
