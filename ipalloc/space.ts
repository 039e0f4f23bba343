/**
 * Moving space between stores: giving a block or a single address on request, and asking for it.
 *
 * Law: only the owner gives, only to a member, only what has no lease, no rest, no reservation and
 * no container by any endpoint row, and the gift is durable before the answer leaves (R4). A lost
 * answer loses nothing: the record is also in the giver's row. A store asks ahead of need, so that
 * it can allocate in any later partition.
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
import { addressWithin, type Cidr, containsCidr, parseCidr } from "./cidr.ts";
import type { DroppedRows } from "./dropped-rows.ts";
import type { FounderPorts } from "./founder.ts";
import { type Commit, type Ledger, learn } from "./ledger.ts";
import { clip, give, recordAt, type StoreId } from "./ownership.ts";
import { decodeOwnership, encodeOwnership, readStore } from "./ownership-codec.ts";
import type { Pool } from "./pool.ts";
import type { Range } from "./range-set.ts";
import { isLive } from "./reach.ts";
import { acceptable, directoryOf, published } from "./rows.ts";

const SPACE = "ipalloc.space";
const CLAIM = "ipalloc.claim";

/** The last gift to a store, repeated when its answer was lost and the request comes again. */
interface Gift {
  readonly nonce: string;
  readonly reply: WireValue;
}

export interface GiverParts {
  readonly dropped: DroppedRows;
  readonly changed: () => void;
}

export class SpaceGiver {
  readonly #ports: FounderPorts;
  readonly #ledger: Ledger;
  readonly #parts: GiverParts;
  /** By asking store and pool. BOUNDED: peersMax, the oldest goes. */
  readonly #gifts = new Map<string, Gift>();

  constructor(ports: FounderPorts, ledger: Ledger, parts: GiverParts) {
    this.#ports = ports;
    this.#ledger = ledger;
    this.#parts = parts;
  }

  /** Answers requests of other stores until cancelled. */
  serve(): Cancel[] {
    const { rpc } = this.#ports;
    return [
      rpc.serve(SPACE, (_, body) => this.#onSpace(body)),
      rpc.serve(CLAIM, (from, body) => this.#onClaim(from, body)),
    ];
  }

  async #onSpace(body: WireValue): Promise<WireValue> {
    const [mesh, subnet, asking, requested, inside] = readArray(body, "space", 4, 12);
    const { cidr, store } = this.#readRequest(mesh, subnet, asking);
    const nonce = readString(requested, "space.nonce", 32);
    const within = inside === null || inside === undefined ? cidr : readInside(cidr, inside);
    const reply = await this.#ledger.exclusive(async (commit) => {
      const pool = this.#servedPool(cidr);
      const repeated = this.#gifts.get(`${store} ${cidr.text}`);
      if (repeated?.nonce === nonce) return repeated.reply;
      pool.wake(this.#ports.clock.nowMs());
      const block = pool.spareBlock(within, store);
      if (block === undefined) throw none(cidr, "has no free space to give");
      const gift = await this.#give(commit, pool, block, store);
      this.#remember(`${store} ${cidr.text}`, { nonce, reply: gift });
      return gift;
    });
    this.#parts.changed();
    return reply;
  }

  /** Answers with the newest record of the address, which names the asker if it was given. */
  async #onClaim(from: PeerId, body: WireValue): Promise<WireValue> {
    const [mesh, subnet, asking, text] = readArray(body, "claim", 4, 12);
    const { cidr, store } = this.#readRequest(mesh, subnet, asking);
    const address = addressWithin(cidr, readString(text, "claim.address", 64));
    const range = { start: address, end: address + 1n };
    // The rest is for addresses that tsweave chooses: a person may move one as soon as it is safe.
    const { dropped } = this.#parts;
    if (this.#servedPool(cidr).obstacle(address) === "resting") await dropped.confirm();
    const reply = await this.#ledger.exclusive(async (commit) => {
      const pool = this.#servedPool(cidr);
      pool.wake(this.#ports.clock.nowMs());
      if (recordAt(pool.ownership, address)?.owner !== pool.store) {
        return encodeOwnership(clip(pool.ownership, range.start, range.end), cidr.bits);
      }
      const obstacle = pool.obstacle(address);
      const runsThere = obstacle === "running" && pool.runner(address) === from;
      const isGone = obstacle === "resting" && pool.restedSinceMs(address) <= dropped.byMs;
      if (obstacle === undefined || runsThere || isGone)
        return await this.#give(commit, pool, range, store);
      const why =
        obstacle === "resting"
          ? "was released there moments ago, and not every peer has dropped it yet"
          : `is ${obstacle} there`;
      throw new TsweaveError("ADDRESS_TAKEN", why);
    });
    this.#parts.changed();
    return reply;
  }

  #readRequest(mesh: WireValue | undefined, subnet: WireValue | undefined, asking?: WireValue) {
    const { state } = this.#ledger;
    state.requireMesh(mesh);
    const store = readStore(asking, "request.store");
    if (store === state.store)
      throw new TsweaveError("BAD_REQUEST", "has the same store: a copied disk");
    return { cidr: parseCidr(readString(subnet, "request.subnet", 64)), store };
  }

  #servedPool(cidr: Cidr): Pool {
    const other = this.#ledger.state.overlapping(cidr);
    if (other === undefined) return this.#ledger.state.ensurePool(cidr);
    throw new TsweaveError("POOL_CONFLICT", `uses ${other.cidr.text}, which overlaps ${cidr.text}`);
  }

  async #give(commit: Commit, pool: Pool, range: Range, to: StoreId): Promise<WireValue> {
    const { state } = this.#ledger;
    if (!state.isMember) throw new TsweaveError("BAD_REQUEST", "is no member of the roster");
    if (!state.isPeer(to)) throw new TsweaveError("BAD_REQUEST", "has not admitted this store");
    if (published(pool).length >= LIMITS.intervalsPerRowMax) {
      throw none(pool.cidr, "is too fragmented to give more");
    }
    const gift = give(pool.ownership, range, pool.store, to);
    if (gift === undefined) throw none(pool.cidr, "cannot give what it does not own");
    await commit({ kind: "own", cidr: pool.cidr, records: gift });
    this.#ports.log.info({ pool: pool.cidr.text, to }, "gave address space");
    return encodeOwnership(gift, pool.cidr.bits);
  }

  #remember(key: string, gift: Gift): void {
    this.#gifts.delete(key);
    this.#gifts.set(key, gift);
    const oldest = this.#gifts.keys().next();
    if (this.#gifts.size > LIMITS.peersMax && !oldest.done) this.#gifts.delete(oldest.value);
  }
}

function readInside(cidr: Cidr, value: WireValue): Cidr {
  const inside = parseCidr(readString(value, "space.within", 64));
  if (containsCidr(cidr, inside)) return inside;
  throw new TsweaveError("BAD_REQUEST", `${inside.text} is not inside ${cidr.text}`);
}

function none(cidr: Cidr, why: string): TsweaveError {
  return new TsweaveError("NO_ADDRESS", `${why} (${cidr.text})`);
}

/** Asks `peer` for one block of a pool and makes what it answers durable. */
export async function askForSpace(
  ports: FounderPorts,
  ledger: Ledger,
  request: {
    readonly peer: PeerId;
    readonly pool: Pool;
    readonly nonce: string;
    readonly within: Cidr | undefined;
  },
): Promise<void> {
  const { pool, peer, nonce, within } = request;
  const { founding, store } = ledger.state;
  if (founding === undefined) return;
  const body = [founding.meshId, pool.cidr.text, store, nonce, within?.text ?? null];
  const reply = await ports.rpc.call(peer, SPACE, body, TIMES.spaceCallMs);
  const records = decodeOwnership(reply, "space", pool.cidr);
  await ledger.exclusive((commit) =>
    learn(commit, pool, acceptable(ledger.state, records, undefined)),
  );
}

/**
 * Obtains one address of another store from its owner.
 * @throws TsweaveError NO_ADDRESS when the owner cannot be reached, ADDRESS_TAKEN when it refuses.
 */
export async function askForAddress(
  ports: FounderPorts,
  ledger: Ledger,
  pool: Pool,
  address: { readonly value: bigint; readonly text: string },
): Promise<void> {
  const owner = recordAt(pool.ownership, address.value)?.owner;
  const { founding, store } = ledger.state;
  if (owner === undefined || owner === store || founding === undefined) return;
  const peer = directoryOf(ports.tables, ledger.state, ports.log).peerOf(owner);
  const member = ports.members().find(({ id }) => id === peer);
  const holder = member?.name ?? `peer ${peer?.slice(0, 8) ?? "unknown"}`;
  if (member === undefined || !isLive(member.state)) throw unreachable(address.text, holder);
  const body = [founding.meshId, pool.cidr.text, store, address.text];
  let reply: WireValue;
  try {
    reply = await ports.rpc.call(member.id, CLAIM, body, TIMES.spaceCallMs);
  } catch (error) {
    const refused = error instanceof TsweaveError && error.code === "ADDRESS_TAKEN";
    if (!refused) throw unreachable(address.text, holder, error);
    throw new TsweaveError("ADDRESS_TAKEN", `${address.text} of ${holder} ${error.message}`, {
      hint: "choose another address, or let tsweave choose",
      cause: error,
    });
  }
  const records = decodeOwnership(reply, "claim", pool.cidr);
  await ledger.exclusive((commit) =>
    learn(commit, pool, acceptable(ledger.state, records, undefined)),
  );
}

function unreachable(address: string, holder: string, cause?: unknown): TsweaveError {
  const why = cause === undefined ? "cannot be reached" : `did not answer: ${messageOf(cause)}`;
  return new TsweaveError("NO_ADDRESS", `${address} belongs to ${holder}, which ${why}`, {
    hint: "retry when it is back, choose another address, or let tsweave choose",
    ...(cause === undefined ? {} : { cause }),
  });
}
