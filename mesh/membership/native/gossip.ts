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
  news(record: PeerRecord): void {
    const word = encodeMessage({ type: "update", record });
    this.#parts.rumours.replace(record.meta.id, word, this.#times());
    this.#arm();
  }

  /** One accuser's word about a peer, to be passed on beside the others'. */
  pass(subject: PeerId, accuser: PeerId, word: Uint8Array): void {
    this.#parts.rumours.add(subject, accuser, word, this.#times());
    this.#arm();
  }

  #times(): number {
    const { roster, timing } = this.#parts;
    return roster.liveCount < timing.direct
      ? TIMES_WHEN_DIRECT
      : transmitLimit(timing, roster.liveCount + 1);
  }

  #arm(): void {
    const { roster, timing, loops, random } = this.#parts;
    const isSmall = roster.liveCount < timing.direct;
    const delayMs = isSmall ? timing.gossipMs : (random.u32() / 2 ** 32) * FIRST_GOSSIP_MS;
    loops.whileDue("gossip", delayMs, () => this.#send());
  }

  #send(): number | undefined {
    const { roster, timing, random, post, rumours } = this.#parts;
    for (const member of sample(random, roster.live(), timing.gossipFanout)) post.gossip(member);
    return rumours.isEmpty ? undefined : timing.gossipMs;
  }
}
