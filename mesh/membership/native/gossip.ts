/**
 * How news leaves a peer: its own straight to the members, everything it hears for the first time a
 * few times more, riding on probes and, while there is any, in packets of its own.
 *
 * Law: a quiet mesh gossips nothing; what is sent is bounded by the transmit limit of each piece.
 */
import type { PeerId, Random } from "../../ports.ts";
import type { Loops } from "../loops.ts";
import { encodeMessage } from "../packet.ts";
import type { PeerRecord } from "../record.ts";
import type { Roster } from "../roster.ts";
import { sample } from "../shuffle.ts";
import { type NativeTiming, transmitLimit } from "./config.ts";
import type { Post } from "./post.ts";
import type { Rumours } from "./rumours.ts";

interface Parts {
  readonly roster: Roster;
  readonly rumours: Rumours;
  readonly post: Post;
  readonly loops: Loops;
  readonly random: Random;
  readonly timing: NativeTiming;
}

/** In a mesh of up to `direct` members all hear news at first hand; this repairs the lost part. */
const TIMES_WHEN_DIRECT = 3;
/** The same for a newcomer, who introduces itself to each member that it is told of. */
const TIMES_OF_NEWCOMER = 1;
/** Above it each hearer passes news on at once; the pause lets what comes together go together. */
const FIRST_GOSSIP_MS = 10;

export class Gossip {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** A word of this peer's own making, straight to the members; gossip reaches who is missed. */
  announce(word: Uint8Array): void {
    const { random, roster, post, timing } = this.#parts;
    for (const { meta } of sample(random, roster.live(), timing.direct)) {
      post.send(meta.advertise, meta.id, [word]);
    }
  }

  /** A new record of a peer, to be passed on instead of all older ones. */
  news(record: PeerRecord, isNewcomer = false): void {
    const word = encodeMessage({ type: "update", record });
    const times = isNewcomer && this.#isSmall ? TIMES_OF_NEWCOMER : this.#times();
    this.#parts.rumours.replace(record.meta.id, word, times);
    this.#arm();
  }

  /** One accuser's word about a peer, to be passed on beside the others'. */
  pass(subject: PeerId, accuser: PeerId, word: Uint8Array): void {
    this.#parts.rumours.add(subject, accuser, word, this.#times());
    this.#arm();
  }

  #times(): number {
    const { roster, timing } = this.#parts;
    return this.#isSmall ? TIMES_WHEN_DIRECT : transmitLimit(timing, roster.liveCount + 1);
  }

  /** Every member hears news at first hand. */
  get #isSmall(): boolean {
    const { roster, timing } = this.#parts;
    return roster.liveCount < timing.direct;
  }

  #arm(): void {
    const { timing, loops, random } = this.#parts;
    const delayMs = this.#isSmall ? timing.gossipMs : (random.u32() / 2 ** 32) * FIRST_GOSSIP_MS;
    loops.whileDue("gossip", delayMs, () => this.#send());
  }

  #send(): number | undefined {
    const { roster, timing, random, post, rumours } = this.#parts;
    for (const member of sample(random, roster.live(), timing.gossipFanout)) post.gossip(member);
    return rumours.isEmpty ? undefined : timing.gossipMs;
  }
}
