/**
 * Who asked this member to be admitted to the roster, and what it is answered.
 *
 * Law (R9): who asks is asked back before each ballot which store it runs now, so a delayed
 * question of an earlier store of that host admits nobody; who was removed is not admitted again.
 */
import {
  type Cancel,
  LIMITS,
  messageOf,
  type PeerId,
  readArray,
  readBoolean,
  TIMES,
  TsweaveError,
  type WireValue,
} from "../mesh/index.ts";
import type { FounderPorts } from "./founder.ts";
import { foundingsShown } from "./founding-rows.ts";
import type { Ledger } from "./ledger.ts";
import type { StoreId } from "./ownership.ts";
import { readStore } from "./ownership-codec.ts";
import { isMember } from "./roster.ts";
import { encodeRoster } from "./roster-codec.ts";

export const ADMIT = "ipalloc.admit";
const IDENTIFY = "ipalloc.identify";

export interface AdmissionsParts {
  readonly self: PeerId;
  readonly leaving: () => boolean;
  /** Whether this host is about to go to another mesh. */
  readonly isGivenUp: () => boolean;
  /** Gets the next roster decided, with the applicants. */
  readonly decide: () => void;
  /** Resolves when `done` holds, or at the deadline. */
  readonly until: (done: () => boolean, deadlineMs: number) => Promise<boolean>;
  /** Peers whose consent was lacking last time. */
  readonly missing: () => readonly PeerId[];
}

interface Asking {
  readonly store: StoreId;
  /** Clock of the first question. */
  readonly sinceMs: number;
}

export class Admissions {
  readonly #ports: FounderPorts;
  readonly #ledger: Ledger;
  readonly #parts: AdmissionsParts;
  /** BOUNDED: wishesMax. */
  readonly #asking = new Map<PeerId, Asking>();

  constructor(ports: FounderPorts, ledger: Ledger, parts: AdmissionsParts) {
    this.#ports = ports;
    this.#ledger = ledger;
    this.#parts = parts;
  }

  serve(): Cancel[] {
    const { rpc } = this.#ports;
    return [
      rpc.serve(ADMIT, (from, body) => this.#onAdmit(from, body)),
      rpc.serve(IDENTIFY, async (_, body) => this.#onIdentify(body)),
    ];
  }

  get applicants(): ReadonlyMap<PeerId, Asking> {
    return this.#asking;
  }

  /** Forgets who has been admitted. */
  drop(): void {
    for (const [peer, { store }] of this.#asking) {
      if (this.#ledger.state.isPeer(store)) this.#asking.delete(peer);
    }
  }

  /** Asks every applicant back which store it runs now. */
  async verify(): Promise<void> {
    const { rpc } = this.#ports;
    const mesh = this.#ledger.state.founding?.meshId ?? "";
    const asked = [...this.#asking].map(async ([peer, applicant]) => {
      try {
        const reply = await rpc.call(peer, IDENTIFY, [mesh], TIMES.rosterCallMs);
        const [store, wants] = readArray(reply, "identity", 2, 8);
        if (store === applicant.store && readBoolean(wants, "identity.wants")) return;
      } catch (error) {
        this.#ports.log.debug({ peer, err: messageOf(error) }, "an applicant does not answer");
      }
      // It asks again when it still wants to.
      if (this.#asking.get(peer) === applicant) this.#asking.delete(peer);
    });
    await Promise.all(asked);
  }

  /** Peers that show another mesh. */
  elsewhere(): PeerId[] {
    const { founding } = this.#ledger.state;
    return foundingsShown(this.#ports, this.#parts.self)
      .filter((shown) => shown.founding.meshId !== founding?.meshId)
      .map(({ origin }) => origin);
  }

  async #onIdentify(body: WireValue): Promise<WireValue> {
    const [mesh] = readArray(body, "identify", 1, 8);
    const { founding, store, retired, candidate } = this.#ledger.state;
    const stays = !this.#parts.leaving();
    if (candidate !== undefined && mesh === candidate.meshId) return [candidate.store, stays];
    return [store, mesh === founding?.meshId && !retired && stays];
  }

  async #onAdmit(from: PeerId, body: WireValue): Promise<WireValue> {
    const [mesh, asking] = readArray(body, "admit", 2, 8);
    const { state } = this.#ledger;
    const store = readStore(asking, "admit.store");
    state.requireMesh(mesh);
    if (!state.isMember) throw refusal("is no member itself");
    // Two meshes that go to one another must not change places.
    if (this.#parts.isGivenUp() && this.elsewhere().includes(from)) {
      throw refusal("is of a mesh that is given up");
    }
    // Who was told to go learns it from the roster.
    const isFormer = state.roster?.former.some((one) => one.store === store) ?? false;
    if (!isFormer && !state.isPeer(store)) {
      if (this.#asking.size >= LIMITS.wishesMax) throw refusal("admits many others now");
      this.#asking.set(from, { store, sinceMs: this.#ports.clock.nowMs() });
      this.#parts.decide();
      await this.#parts.until(() => state.isPeer(store), TIMES.rosterCallMs);
    }
    const { roster } = state;
    if (roster === undefined || !(isFormer || isMember(roster, store))) {
      return ["pending", this.#parts.missing().slice(0, LIMITS.electorsMax)];
    }
    return ["member", encodeRoster(roster)];
  }
}

function refusal(why: string): TsweaveError {
  return new TsweaveError("BAD_REQUEST", why);
}
