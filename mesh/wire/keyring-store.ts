/**
 * The key ring in the state directory, and which ring a launch begins with.
 *
 * Law: a change is on disk before it counts. A key that a person removed does not come back by an
 * old password file. A mesh that was encrypted is never left unencrypted in silence.
 */
import { messageOf, TsweaveError } from "../errors.ts";
import type { Store } from "../ports.ts";
import { Keyring, keyFromPassword } from "./keyring.ts";

const STORE_KEY = "keyring";

/** The ring of this peer, and its safe change. */
export interface RingKeeper {
  readonly ring: Keyring;
  /** The password given at launch is one that was removed; the stored ring is used instead. */
  readonly outdatedPassword: boolean;
  /** One change at a time, on disk first. Rejects with what `change` throws. */
  update(change: (ring: Keyring) => Keyring): Promise<Keyring>;
}

/**
 * Opens the ring: a password that it has, or had, leaves it as it is; a new password replaces it.
 * Undefined without a password and without a ring: the mesh is plain.
 * @throws TsweaveError CONFIG without a password where a ring is stored, STATE_CORRUPT
 */
export async function openKeyring(
  store: Store,
  password: string | undefined,
): Promise<RingKeeper | undefined> {
  const stored = await storedRing(store);
  if (password === undefined) {
    if (stored === undefined) return undefined;
    throw new TsweaveError("CONFIG", "this peer's mesh is encrypted, and no password is given", {
      hint: "name --password-file; to go back to plain, remove keyring.snapshot from --state-dir",
    });
  }
  const key = await keyFromPassword(password);
  const isKnown = stored?.has(key.id) === true || stored?.wasRemoved(key.id) === true;
  const ring = isKnown && stored !== undefined ? stored : Keyring.of(key);
  if (ring !== stored) await store.save(STORE_KEY, ring.encode());
  return new StoredRing(store, ring, !ring.has(key.id));
}

async function storedRing(store: Store): Promise<Keyring | undefined> {
  const bytes = await store.load(STORE_KEY);
  if (bytes === undefined) return undefined;
  try {
    return Keyring.decode(bytes);
  } catch (error) {
    throw new TsweaveError("STATE_CORRUPT", `the key ring does not read: ${messageOf(error)}`, {
      hint: "remove keyring.snapshot from --state-dir and launch with the password",
      cause: error,
    });
  }
}

class StoredRing implements RingKeeper {
  ring: Keyring;
  readonly outdatedPassword: boolean;
  readonly #store: Store;
  #last: Promise<unknown> = Promise.resolve();

  constructor(store: Store, ring: Keyring, outdatedPassword: boolean) {
    this.#store = store;
    this.ring = ring;
    this.outdatedPassword = outdatedPassword;
  }

  async update(change: (ring: Keyring) => Keyring): Promise<Keyring> {
    const work = async (): Promise<Keyring> => {
      const changed = change(this.ring);
      if (changed !== this.ring) await this.#store.save(STORE_KEY, changed.encode());
      this.ring = changed;
      return changed;
    };
    const run = this.#last.then(work, work);
    this.#last = run.catch(() => undefined);
    return await run;
  }
}
