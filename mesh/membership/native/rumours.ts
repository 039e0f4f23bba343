/**
 * News on its way to the other members: what to send next, and how often still.
 *
 * Law: news is sent a limited number of times; the freshest goes first; a newer record of a peer
 * replaces all older news of it. Hearing the same news from others counts as one sending, since
 * somebody else did it.
 */
import { LIMITS } from "../../limits.ts";
import type { PeerId } from "../../ports.ts";

interface Rumour {
  readonly subject: PeerId;
  /** Empty, or the accuser: accusations of several accusers travel side by side. */
  readonly voice: string;
  readonly bytes: Uint8Array;
  left: number;
}

/** Frames are prefixed with their length. */
const PREFIX_BYTES = 2;
/** A suspicion and its confirmations. */
const VOICES_MAX = 8;

export class Rumours {
  /** BOUNDED: LIMITS.peersMax subjects of VOICES_MAX voices; the oldest subject goes first. */
  readonly #bySubject = new Map<PeerId, Rumour[]>();

  get isEmpty(): boolean {
    return this.#bySubject.size === 0;
  }

  /** Takes a new record of a peer; everything older about it is obsolete. */
  replace(subject: PeerId, bytes: Uint8Array, times: number): void {
    this.#bySubject.delete(subject);
    this.add(subject, "", bytes, times);
  }

  /** Adds one more voice about a peer. */
  add(subject: PeerId, voice: string, bytes: Uint8Array, times: number): void {
    if (times <= 0) return;
    const others = (this.#bySubject.get(subject) ?? []).filter((rumour) => rumour.voice !== voice);
    if (others.length >= VOICES_MAX) return;
    if (this.#bySubject.size >= LIMITS.peersMax && others.length === 0) this.#dropOldest();
    this.#bySubject.set(subject, [...others, { subject, voice, bytes, left: times }]);
  }

  /** The same news came in from somebody else. */
  heard(subject: PeerId, voice: string): void {
    const rumours = this.#bySubject.get(subject);
    const rumour = rumours?.find((candidate) => candidate.voice === voice);
    if (rumour !== undefined) this.#spend(rumour);
  }

  drop(subject: PeerId): void {
    this.#bySubject.delete(subject);
  }

  /** What to send in so many bytes, the least sent first; counts as sent. */
  take(room: number): Uint8Array[] {
    if (this.isEmpty) return [];
    const all = [...this.#bySubject.values()].flat().sort((a, b) => b.left - a.left);
    const taken: Uint8Array[] = [];
    let left = room;
    for (const rumour of all) {
      const bytes = rumour.bytes.length + PREFIX_BYTES;
      if (bytes > left) continue;
      left -= bytes;
      taken.push(rumour.bytes);
      this.#spend(rumour);
    }
    return taken;
  }

  #spend(rumour: Rumour): void {
    rumour.left -= 1;
    if (rumour.left > 0) return;
    const rest = (this.#bySubject.get(rumour.subject) ?? []).filter((other) => other !== rumour);
    if (rest.length === 0) this.#bySubject.delete(rumour.subject);
    else this.#bySubject.set(rumour.subject, rest);
  }

  #dropOldest(): void {
    for (const subject of this.#bySubject.keys()) {
      this.#bySubject.delete(subject);
      return;
    }
  }
}
