/**
 * Peers that run the other membership engine: they are refused, by name and with the reason.
 *
 * Law: an engine is a property of the mesh; two engines never exchange verdicts. Whoever greets
 * across the border is told once in a while that somebody of the other kind is here, so that the
 * trouble shows on both sides; an answer is never answered.
 */
import { LIMITS } from "../limits.ts";
import type { HostPort, Log } from "../ports.ts";
import { addressKey } from "./address.ts";
import { Pace } from "./exchange.ts";
import type { EngineName, MembershipProblem } from "./membership.ts";
import { decodePacketOf, engineOf } from "./packet.ts";

interface Sighting {
  readonly lastMs: number;
  readonly problem: MembershipProblem;
}

/** Without news the trouble is over. */
const FADE_MS = 30_000;
const ANSWER_GAP_MS = 3000;

export class OtherEngines {
  /** BOUNDED: LIMITS.peersMax; more are not recorded, the first ones already need a person. */
  readonly #sightings = new Map<string, Sighting>();
  readonly #pace = new Pace();
  readonly #own: EngineName;
  readonly #log: Log;

  constructor(own: EngineName, log: Log) {
    this.#own = own;
    this.#log = log;
  }

  /** Whether another engine made these bytes. */
  isForeign(bytes: Uint8Array): boolean {
    return (engineOf(bytes) ?? this.#own) !== this.#own;
  }

  /**
   * Takes note of who sent a foreign packet. True when it is a greeting to be answered with one of
   * this engine's own. @throws TsweaveError BAD_MESSAGE on damage
   */
  met(from: HostPort, bytes: Uint8Array, nowMs: number): boolean {
    const engine = engineOf(bytes) ?? this.#own;
    const { header, messages } = decodePacketOf(engine, bytes);
    const hello = messages.find((message) => message.type === "hello");
    const name = hello === undefined ? addressKey(from) : hello.record.meta.name;
    this.#note(nowMs, {
      code: "ENGINE_DIFFERS",
      peer: header.sender,
      addresses: [from],
      text: `${name} at ${addressKey(from)} runs the membership engine ${engine}, not ${this.#own}`,
      next: `launch it with --membership ${this.#own}, or all others with --membership ${engine}`,
    });
    return hello?.want === true && this.#pace.allows(addressKey(from), nowMs, ANSWER_GAP_MS);
  }

  problems(nowMs: number): MembershipProblem[] {
    return [...this.#sightings.values()]
      .filter((sighting) => nowMs - sighting.lastMs <= FADE_MS)
      .map((sighting) => sighting.problem);
  }

  #note(nowMs: number, problem: MembershipProblem): void {
    const isNew = !this.#sightings.has(problem.peer);
    if (isNew && this.#sightings.size >= LIMITS.peersMax) return;
    this.#sightings.set(problem.peer, { lastMs: nowMs, problem });
    if (isNew) this.#log.error({ peer: problem.peer, next: problem.next }, problem.text);
  }
}
