/**
 * Two processes with one peer id: a cloned disk, or a state directory rolled back to before a
 * start that others remember.
 *
 * Law: only packets that come straight from the second process, twice and a while apart, prove a
 * twin; gossip about an earlier life does not. Both addresses are named.
 */
import { LIMITS } from "../limits.ts";
import type { HostPort, PeerId } from "../ports.ts";
import { addressKey } from "./address.ts";
import type { MembershipProblem } from "./membership.ts";

interface Sighting {
  readonly firstMs: number;
  lastMs: number;
  readonly problem: MembershipProblem;
}

/** A predecessor's last packets may still be on the way; a living twin goes on sending. */
const PROOF_MS = 1000;
/** Without news a problem is over. */
const FADE_MS = 30_000;

export class Twins {
  /** BOUNDED: LIMITS.peersMax; more are not recorded, the first ones already need a person. */
  readonly #sightings = new Map<string, Sighting>();

  /** A live process at `there` uses the id of the one at `here`. True when newly proven. */
  seen(peer: PeerId, here: HostPort, there: HostPort, nowMs: number): boolean {
    const places = `${addressKey(here)} and ${addressKey(there)}`;
    return this.#note(nowMs, PROOF_MS, {
      code: "PEER_ID_SHARED",
      peer,
      addresses: [here, there],
      text: `two running peers share the id ${peer}: ${places}`,
      next: "on one of them: tsweave stop, remove its state directory, tsweave launch",
    });
  }

  /** Others hold a later life of this very peer, last at `there`. True when new. */
  superseded(peer: PeerId, here: HostPort, there: HostPort, nowMs: number): boolean {
    return this.#note(nowMs, 0, {
      code: "PEER_SUPERSEDED",
      peer,
      addresses: [here, there],
      text: `the mesh knows a later start of this peer ${peer}, at ${addressKey(there)}`,
      next: "launch again; if the other address is a clone of this host, reset one of the two",
    });
  }

  problems(nowMs: number): MembershipProblem[] {
    return [...this.#sightings.values()]
      .filter((sighting) => nowMs - sighting.lastMs <= FADE_MS && isProven(sighting))
      .map((sighting) => sighting.problem);
  }

  #note(nowMs: number, proofMs: number, problem: MembershipProblem): boolean {
    const key = `${problem.code} ${problem.text}`;
    const before = this.#sightings.get(key);
    if (before === undefined || nowMs - before.lastMs > FADE_MS) {
      if (before === undefined && this.#sightings.size >= LIMITS.peersMax) return false;
      this.#sightings.set(key, { firstMs: nowMs - (PROOF_MS - proofMs), lastMs: nowMs, problem });
      return proofMs === 0;
    }
    const wasProven = isProven(before);
    before.lastMs = nowMs;
    return !wasProven && isProven(before);
  }
}

function isProven(sighting: Sighting): boolean {
  return sighting.lastMs - sighting.firstMs >= PROOF_MS;
}
