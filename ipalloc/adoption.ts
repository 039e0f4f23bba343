/**
 * How this host goes to the mesh that adopts its own, once an operator has given its own up.
 *
 * Law: a host gives up its place in one mesh only when the other has admitted it, in one write:
 * before that it goes on as it is, after that it is a member there. The store it will have there is
 * on disk before it is told to anybody, so a crash repeats the same question. What runs here keeps
 * its address: the leases go along, and are asked for one by one. The word is shown to all, so that
 * the whole mesh follows, whoever of it is away now when it is back.
 */
import {
  type Cancel,
  messageOf,
  type PeerId,
  readArray,
  readString,
  TIMES,
  TsweaveError,
} from "../mesh/index.ts";
import { ADMIT } from "./admissions.ts";
import type { FounderPorts } from "./founder.ts";
import type { Founding } from "./founding.ts";
import { foundingsShown, showSurrender, surrendersShown } from "./founding-rows.ts";
import { type Ledger, stampMs } from "./ledger.ts";
import { isLive } from "./reach.ts";
import type { Registrar } from "./registrar.ts";
import { Retry } from "./retry.ts";
import { isMember } from "./roster.ts";
import { decodeRoster, readPeer } from "./roster-codec.ts";
import type { Place } from "./state.ts";
import { destinationOf, overrides, type Surrender } from "./surrender.ts";

/** Peers of the other mesh asked in one round: a round must end within seconds. */
const ASKED_PER_ROUND = 5;

export interface AdoptionParts {
  readonly self: PeerId;
  readonly registrar: Registrar;
  readonly newStore: () => string;
  /** Makes the place durable and goes on there; this object is stopped by it. */
  readonly move: (place: Place) => Promise<void>;
}

export class Adoption {
  /** What came of the last round. */
  outcome: string | undefined;
  /** Peers of the other mesh whose consent the asked ones lack. */
  missing: readonly PeerId[] = [];
  /** Clock of the start of the present wait. */
  sinceMs: number | undefined;
  readonly #ports: FounderPorts;
  readonly #ledger: Ledger;
  readonly #parts: AdoptionParts;
  readonly #retry: Retry;

  constructor(ports: FounderPorts, ledger: Ledger, parts: AdoptionParts) {
    this.#ports = ports;
    this.#ledger = ledger;
    this.#parts = parts;
    this.#retry = new Retry(ports, "ipalloc-adoption", () => this.#apply());
  }

  start(): Cancel[] {
    this.consider();
    return [this.#ports.tables.watch("founding", () => this.consider())];
  }

  stop(): void {
    this.#retry.stop();
  }

  /**
   * The mesh that adopts this one, by all words that are known; undefined when it may stay, also
   * because nobody is known to be there: of two meshes that went to one another only one is left.
   */
  get destination(): Founding | undefined {
    const { founding } = this.#ledger.state;
    const words = founding === undefined ? [] : this.#words();
    if (founding === undefined || words.length === 0) return undefined;
    const into = destinationOf(founding.meshId, words);
    const shown = into === undefined ? [] : foundingsShown(this.#ports, this.#parts.self);
    return shown.some((one) => one.founding.meshId === into?.meshId) ? into : undefined;
  }

  /** To be called when members or rows changed. */
  consider(): void {
    const { state } = this.#ledger;
    for (const word of state.surrenders.values()) showSurrender(this.#ports.tables, word);
    if (this.destination !== undefined) this.#retry.now();
    else this.sinceMs = undefined;
  }

  /**
   * The operator's word, durable when it resolves. @throws TsweaveError BAD_REQUEST where this host
   * is no member of its mesh: the others would not count its word, and stay.
   */
  async giveUp(into: Founding): Promise<void> {
    const { founding, surrenders, isMember: member } = this.#ledger.state;
    if (founding === undefined) return;
    if (!member) {
      throw new TsweaveError("BAD_REQUEST", "this host is not admitted to its own mesh yet", {
        hint: "wait for 'tsweave status ipam', or say it on another host of that mesh",
      });
    }
    const mesh = founding.meshId;
    let known = surrenders.get(mesh);
    for (const word of this.#words()) {
      if (word.mesh === mesh && overrides(word, known)) known = word;
    }
    if (known?.into.meshId !== into.meshId) {
      const sinceMs = Math.max(stampMs(this.#ports.clock), (known?.sinceMs ?? 0) + 1);
      const word = { mesh, into, sinceMs };
      await this.#ledger.exclusive((commit) => commit({ kind: "surrender", word }));
    }
    this.consider();
  }

  /**
   * Own words and what others show. This mesh is given away by who is or was of it and by nobody
   * else; about other meshes anybody is heard, for it only says where those are now.
   */
  #words(): Surrender[] {
    const { roster, founding, surrenders } = this.#ledger.state;
    const known = [...(roster?.members ?? []), ...(roster?.former ?? [])].map(({ peer }) => peer);
    const ofMesh = new Set(known);
    const counts = ({ mesh }: Surrender, origin: PeerId) =>
      mesh !== founding?.meshId || ofMesh.has(origin);
    return [...surrenders.values(), ...surrendersShown(this.#ports, counts)];
  }

  /** Resolves with whether nothing is left to do. */
  async #apply(): Promise<boolean> {
    const into = this.destination;
    if (into === undefined || this.#parts.registrar.leaving) return true;
    this.sinceMs ??= this.#ports.clock.nowMs();
    const store = await this.#prepare(into);
    const outcomes: string[] = [];
    for (const { peer, name } of this.#sponsors(into)) {
      const answer = await this.#ask(peer, into, store);
      if (this.#ledger.closed) return true;
      outcomes.push(`${name} ${answer}`);
    }
    this.outcome = outcomes.length > 0 ? outcomes.join("; ") : "no peer of it can be reached";
    return false;
  }

  /** Makes the word about this mesh and the store to be durable. */
  #prepare({ meshId }: Founding): Promise<string> {
    const { state } = this.#ledger;
    return this.#ledger.exclusive(async (commit) => {
      for (const word of this.#words()) {
        const isOurs = word.mesh === state.founding?.meshId;
        if (isOurs && overrides(word, state.surrenders.get(word.mesh))) {
          await commit({ kind: "surrender", word });
        }
      }
      const known = state.candidate;
      if (known?.meshId === meshId) return known.store;
      const store = this.#parts.newStore();
      await commit({ kind: "candidate", meshId, store });
      return store;
    });
  }

  async #ask(peer: PeerId, into: Founding, store: string): Promise<string> {
    try {
      const body = [into.meshId, store];
      const reply = await this.#ports.rpc.call(peer, ADMIT, body, 2 * TIMES.rosterCallMs);
      const [kind, value] = readArray(reply, "admission", 2, 8);
      if (readString(kind, "admission.kind", 16) !== "member") {
        this.missing = readArray(value, "admission.missing", 0, 64).map((one) =>
          readPeer(one, "admission.missing"),
        );
        return "cannot reach enough electors";
      }
      const roster = decodeRoster(value, "admission");
      if (isMember(roster, store)) {
        await this.#parts.move({ store, founding: into, roster });
        return "admitted this host";
      }
      if (roster.former.some((one) => one.store === store)) await this.#tryAnother(into);
      return "knows a roster without this host";
    } catch (error) {
      return messageOf(error);
    }
  }

  /** The store was admitted and removed again before this host heard of it. */
  #tryAnother({ meshId }: Founding): Promise<void> {
    const store = this.#parts.newStore();
    return this.#ledger.exclusive((commit) => commit({ kind: "candidate", meshId, store }));
  }

  /** Peers in reach that show the other mesh, its founders first: they may be electors. */
  #sponsors({ meshId, founders }: Founding): { readonly peer: PeerId; readonly name: string }[] {
    const shown = foundingsShown(this.#ports, this.#parts.self);
    const ofIt = new Set(
      shown.filter(({ founding }) => founding.meshId === meshId).map(({ origin }) => origin),
    );
    const first = new Set(founders.map(({ peer }) => peer));
    return this.#ports
      .members()
      .filter(({ id, self, state }) => !self && isLive(state) && ofIt.has(id))
      .sort((a, b) => Number(first.has(b.id)) - Number(first.has(a.id)))
      .map(({ id, name }) => ({ peer: id, name }))
      .slice(0, ASKED_PER_ROUND);
  }
}
