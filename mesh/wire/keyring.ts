/**
 * The keys of an encrypted mesh: several are accepted, one is used to send.
 *
 * A key is made from the password alone, so that every host finds the same one without asking
 * anybody: scrypt (RFC 7914) with a fixed salt that only separates this use from others, because
 * there is nothing mesh-wide to salt with before the first contact. scrypt rather than HKDF at this
 * step: passwords are guessable, a recorded packet lets anyone try, so each guess must cost (about
 * 0.2 s and 32 MiB here). Everything below it is HKDF (RFC 5869).
 *
 * Law: a key's id tells nothing of the key. A ring is never without a key to send with.
 */
import { hkdfSync, scrypt } from "node:crypto";
import { TsweaveError } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import type { WireValue } from "../ports.ts";
import { decodeWire, encodeWire } from "./msgpack.ts";
import { readArray, readBytes, readString } from "./read.ts";

const PASSWORD_SALT = "tsweave mesh password 1";
const SECRET_BYTES = 32;
const SCRYPT = { N: 2 ** 15, r: 8, p: 3, maxmem: 64 * 2 ** 20 } as const;
const ID = /^[0-9a-f]{8}$/;
/** Ids of removed keys that are remembered. */
const REMOVED_MAX = 64;

export interface SealKey {
  /** Eight hex digits, fit to be shown. */
  readonly id: string;
  /** The id's first byte: tells a receiver which key to try. */
  readonly hint: number;
  readonly secret: Uint8Array;
}

/** The key of a password; the same on every host. Takes about 0.2 s, not on this thread. */
export async function keyFromPassword(password: string): Promise<SealKey> {
  const secret = await new Promise<Buffer>((resolve, reject) => {
    scrypt(password, PASSWORD_SALT, SECRET_BYTES, SCRYPT, (error, bytes) => {
      if (error === null) resolve(bytes);
      else reject(error);
    });
  });
  return keyFromSecret(secret);
}

/** The key with these 32 bytes. @throws TsweaveError BAD_REQUEST */
export function keyFromSecret(secret: Uint8Array): SealKey {
  if (secret.length !== SECRET_BYTES) {
    throw new TsweaveError("BAD_REQUEST", `a key has ${SECRET_BYTES} bytes`);
  }
  const id = Buffer.from(hkdfSync("sha256", secret, "", "tsweave key id 1", 4));
  return { id: id.toString("hex"), hint: id[0] ?? 0, secret };
}

/** Immutable: each change is a new ring, so that it can be on disk before it counts. */
export class Keyring {
  /** BOUNDED: LIMITS.sealKeysMax. */
  readonly keys: readonly SealKey[];
  /** The key this peer sends with. */
  readonly sending: SealKey;
  /** BOUNDED: REMOVED_MAX, newest last. */
  readonly #removed: readonly string[];

  constructor(keys: readonly SealKey[], sending: SealKey, removed: readonly string[] = []) {
    this.keys = keys;
    this.sending = sending;
    this.#removed = removed;
  }

  static of(key: SealKey): Keyring {
    return new Keyring([key], key);
  }

  has(id: string): boolean {
    return this.keys.some((key) => key.id === id);
  }

  /** Whether a person took this key out of the ring. */
  wasRemoved(id: string): boolean {
    return this.#removed.includes(id);
  }

  /** Accepts one more key; sends as before. @throws TsweaveError CONFIG when the ring is full. */
  add(key: SealKey): Keyring {
    if (this.has(key.id)) return this;
    if (this.keys.length >= LIMITS.sealKeysMax) {
      throw new TsweaveError("CONFIG", `the ring already holds ${this.keys.length} keys`, {
        hint: "remove one that no peer sends with: 'tsweave keys list', 'tsweave keys remove ID'",
      });
    }
    const removed = this.#removed.filter((id) => id !== key.id);
    return new Keyring([...this.keys, key], this.sending, removed);
  }

  /** Sends with this key from now on. @throws TsweaveError NOT_FOUND */
  use(idStart: string): Keyring {
    return new Keyring(this.keys, this.find(idStart), this.#removed);
  }

  /** Accepts this key no more. @throws TsweaveError NOT_FOUND, CONFIG while it is sent with. */
  remove(idStart: string): Keyring {
    const gone = this.find(idStart);
    if (gone.id === this.sending.id) {
      throw new TsweaveError("CONFIG", `this peer sends with key ${gone.id}`, {
        hint: "first 'tsweave keys use' another one",
      });
    }
    const keys = this.keys.filter((key) => key !== gone);
    return new Keyring(keys, this.sending, [...this.#removed, gone.id].slice(-REMOVED_MAX));
  }

  /** The one key whose id begins so. @throws TsweaveError NOT_FOUND */
  find(idStart: string): SealKey {
    const [found, second] = this.keys.filter((key) => idStart !== "" && key.id.startsWith(idStart));
    if (found !== undefined && second === undefined) return found;
    const why = found === undefined ? "the ring has no key" : "several keys begin with";
    throw new TsweaveError("NOT_FOUND", `${why} ${idStart.slice(0, 16)}`, {
      hint: "see 'tsweave keys list'",
    });
  }

  /** For the state directory: [keys, id sent with, removed ids]. */
  encode(): Uint8Array {
    const secrets = this.keys.map((key): WireValue => key.secret);
    return encodeWire([secrets, this.sending.id, this.#removed]);
  }

  /** @throws TsweaveError BAD_MESSAGE */
  static decode(bytes: Uint8Array): Keyring {
    const fields = readArray(decodeWire(bytes), "keyring", 3, 16);
    const keys = readArray(fields[0], "keyring.keys", 1, LIMITS.sealKeysMax).map((secret, at) =>
      keyFromSecret(readBytes(secret, `keyring.keys.${at}`, SECRET_BYTES, SECRET_BYTES)),
    );
    const sendingId = readString(fields[1], "keyring.sending", 8, ID);
    const sending = keys.find((key) => key.id === sendingId);
    if (sending === undefined) {
      throw new TsweaveError("BAD_MESSAGE", "keyring.sending: expected one of the keys");
    }
    const removed = readArray(fields[2], "keyring.removed", 0, REMOVED_MAX);
    return new Keyring(
      keys,
      sending,
      removed.map((id) => readString(id, "keyring.removed", 8, ID)),
    );
  }
}
