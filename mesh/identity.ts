/**
 * Who this peer is: a random 128-bit id made once with the state directory, and an incarnation
 * that rises at each start.
 *
 * Law: the new incarnation is durable before anyone hears of it, and passes both the stored one
 * and the wall clock's seconds, so that a state directory rolled back to an older copy does not
 * reuse one.
 */
import { messageOf, TsweaveError } from "./errors.ts";
import type { Clock, PeerId, Random, Store } from "./ports.ts";
import { decodeWire, encodeWire } from "./wire/msgpack.ts";
import { readArray, readBytes, readInteger } from "./wire/read.ts";

const KEY = "identity";
/** Room for one more start, however the stored number came about. */
const INCARNATION_MAX = Number.MAX_SAFE_INTEGER - 1;

export interface Identity {
  readonly id: PeerId;
  readonly incarnation: number;
}

/**
 * The identity of this life; makes the id when the store holds none.
 * @throws TsweaveError STATE_CORRUPT, STATE_UNWRITABLE
 */
export async function nextIdentity(ports: {
  store: Store;
  clock: Clock;
  random: Random;
}): Promise<Identity> {
  const stored = await ports.store.load(KEY);
  let id = ports.random.bytes(16);
  let last = 0;
  if (stored !== undefined) {
    [id, last] = readIdentity(stored);
  }
  const incarnation = Math.max(last + 1, Math.floor(ports.clock.wallMs() / 1000));
  await ports.store.save(KEY, encodeWire([id, incarnation]));
  return { id: Buffer.from(id).toString("hex"), incarnation };
}

/** Id and last incarnation. A guess at either could make two peers of one, so there is none. */
function readIdentity(stored: Uint8Array): [Uint8Array, number] {
  try {
    const [id, incarnation] = readArray(decodeWire(stored), "identity", 2, 8);
    return [
      readBytes(id, "identity.id", 16, 16),
      readInteger(incarnation, "identity.incarnation", 0, INCARNATION_MAX),
    ];
  } catch (error) {
    throw new TsweaveError(
      "STATE_CORRUPT",
      `identity.snapshot does not read: ${messageOf(error)}`,
      {
        hint: "restore it from a backup; or move it away from --state-dir to begin as a new peer",
        cause: error,
      },
    );
  }
}
