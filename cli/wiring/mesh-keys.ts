/**
 * The key ring as the control API shows and changes it.
 *
 * Law: only ids leave this file, never keys. A change is on disk before it counts.
 */
import {
  type Clock,
  type Keyring,
  keyFromSecret,
  type Log,
  type RingKeeper,
  Seal,
  TsweaveError,
} from "../../mesh/index.ts";
import type { KeyChange, KeysReply } from "../control/api.ts";

/** Within it every peer of a mesh of a hundred hosts has spoken to this one. */
const HEARD_MS = 60_000;

export class MeshKeys {
  readonly #keeper: RingKeeper | undefined;
  readonly #clock: Clock;
  readonly #log: Log;
  /** Undefined in a plain mesh. */
  readonly seal: Seal | undefined;

  constructor(
    ports: ConstructorParameters<typeof Seal>[0] & { readonly log: Log },
    keeper: RingKeeper | undefined,
  ) {
    this.#keeper = keeper;
    this.#clock = ports.clock;
    this.#log = ports.log;
    this.seal = keeper === undefined ? undefined : new Seal(ports, keeper.ring);
  }

  /** The password given at launch was removed from the ring. */
  get outdatedPassword(): boolean {
    return this.#keeper?.outdatedPassword ?? false;
  }

  list(): KeysReply {
    const { seal } = this;
    if (seal === undefined) return { encrypted: false, keys: [], refused: 0, replayed: 0 };
    const { refused, replayed } = seal.counts;
    const users = this.#users();
    const keys = seal.ring.keys.map(({ id }) => ({
      id,
      sends: id === seal.ring.sending.id,
      peers: users.get(id) ?? 0,
    }));
    return { encrypted: true, keys, refused, replayed };
  }

  /** @throws TsweaveError CONFIG, NOT_FOUND, BAD_REQUEST */
  async change(change: KeyChange): Promise<KeysReply> {
    const { seal } = this;
    if (seal === undefined || this.#keeper === undefined) {
      throw new TsweaveError("CONFIG", "this peer's mesh is not encrypted", {
        hint: "stop all peers and launch them with --password-file",
      });
    }
    seal.ring = await this.#keeper.update((ring) => this.#changed(ring, change));
    const ids = seal.ring.keys.map(({ id }) => id);
    const sends = seal.ring.sending.id;
    this.#log.info({ action: change.action, keys: ids, sends }, "the key ring was changed");
    return this.list();
  }

  #changed(ring: Keyring, change: KeyChange): Keyring {
    if (change.action === "add") return ring.add(keyFromSecret(Buffer.from(change.key, "hex")));
    if (change.action === "use") return ring.use(change.id);
    const { id } = ring.find(change.id);
    const users = this.#users().get(id) ?? 0;
    if (users > 0 && !change.force) {
      throw new TsweaveError("CONFIG", `${users} of the other peers still send with key ${id}`, {
        hint: "run 'tsweave keys use' on every peer first, or lock them out with --force",
      });
    }
    return ring.remove(id);
  }

  #users(): ReadonlyMap<string, number> {
    return this.seal?.senders.usersSince(this.#clock.nowMs() - HEARD_MS) ?? new Map();
  }
}
