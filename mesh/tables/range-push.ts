/**
 * One fresh run of own changes on its way to more peers than are sent to directly: a head for each
 * range of ids passes it on and answers who has it.
 *
 * Law: nobody counts as reached who did not say so, itself or through its head. A head that does
 * not answer is replaced by another of its range; who is left is pushed to directly.
 */
import { TIMES } from "../limits.ts";
import type { Member } from "../membership/membership.ts";
import { sample } from "../membership/shuffle.ts";
import type { Cancel, Clock, HostPort, PeerId, Random } from "../ports.ts";
import type { Delta } from "./messages.ts";
import { type Cover, encodeTablesMessage, markReader } from "./push.ts";
import type { PeerRange } from "./ranges.ts";

/** Sends to one head before another is tried. */
const SENDS_MAX = 2;
/** Heads of one range before its peers are pushed to directly. */
const HEADS_MAX = 3;
/** Steps that a head which holds the rows may take over its range. */
const WAITS_MAX = TIMES.relayTries + 2;
/** A head that holds the rows and says nothing of its range is asked again every so many steps. */
const ASK_EVERY = 2;

export interface RangePushPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly self: PeerId;
  readonly send: (to: HostPort, packet: Uint8Array) => void;
  /** Whether a live member is not known to hold own changes up to `seq`. */
  readonly isLate: (peer: PeerId, seq: number) => boolean;
  readonly learn: (peer: PeerId, seq: number) => void;
  /** Peers that their heads could not reach. */
  readonly leave: (late: readonly Member[]) => void;
}

/** A range with those who may pass the rows on to it: of the range itself, or beside it. */
export interface RangeCourse extends PeerRange {
  readonly heads: readonly Member[];
}

interface Course extends PeerRange {
  /** BOUNDED: the members of the range, about √peersMax. */
  readonly heads: Member[];
  readonly packets: readonly Uint8Array[];
  head: Member | undefined;
  sends: number;
  waits: number;
  done: boolean;
}

export class RangePush {
  /** Own sequence number that this brings everyone to. */
  readonly seq: number;
  readonly #ports: RangePushPorts;
  /** BOUNDED: about √peersMax ranges. */
  readonly #courses: readonly Course[];
  readonly #stepMs: number;
  #cancel: Cancel | undefined;
  #stopped = false;

  constructor(
    ports: RangePushPorts,
    way: { readonly courses: readonly RangeCourse[]; readonly stepMs: number },
    cut: readonly Delta[],
  ) {
    this.#ports = ports;
    this.seq = cut.at(-1)?.to ?? 0;
    this.#stepMs = way.stepMs;
    this.#courses = way.courses.map((part) => ({
      ...part,
      heads: sample(ports.random, part.heads, HEADS_MAX),
      packets: cut.map((delta) =>
        encodeTablesMessage({ type: "relay", sender: ports.self, delta, range: part.range }),
      ),
      head: undefined,
      sends: 0,
      waits: 0,
      done: false,
    }));
  }

  start(): void {
    this.#step();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  get done(): boolean {
    return this.#stopped || this.#courses.every((course) => course.done);
  }

  /** A head's word on its range: whoever it could not reach is left to a direct push. */
  take(cover: Cover): void {
    const course = this.#courses.find(({ range }) => range.first === cover.range.first);
    if (course === undefined) return;
    const holds = markReader(cover.marks);
    for (const { id } of course.members) {
      if (holds(id)) this.#ports.learn(id, Math.min(cover.seq, this.seq));
    }
    if (cover.seq >= this.seq) this.#close(course);
  }

  #step(): void {
    for (const course of this.#courses) {
      if (!course.done) this.#advance(course);
    }
    if (this.done) return;
    this.#cancel = this.#ports.clock.timer("range-push", this.#stepMs, () => this.#step());
  }

  #advance(course: Course): void {
    if (this.#late(course).length === 0) {
      course.done = true;
      return;
    }
    const holds = course.head !== undefined && !this.#ports.isLate(course.head.id, this.seq);
    if (holds && course.waits < WAITS_MAX) {
      course.waits += 1;
      if (course.waits % ASK_EVERY === 0) this.#send(course, course.head);
      return;
    }
    if (course.head === undefined || holds || course.sends >= SENDS_MAX) this.#nextHead(course);
    if (course.head === undefined) {
      this.#close(course);
      return;
    }
    course.sends += 1;
    this.#send(course, course.head);
  }

  #send(course: Course, head: Member | undefined): void {
    if (head === undefined) return;
    for (const packet of course.packets) this.#ports.send(head.advertise, packet);
  }

  #nextHead(course: Course): void {
    course.head = course.heads.pop();
    course.sends = 0;
    course.waits = 0;
  }

  #close(course: Course): void {
    if (course.done) return;
    course.done = true;
    const late = this.#late(course);
    if (late.length > 0) this.#ports.leave(late);
  }

  #late(course: Course): Member[] {
    return course.members.filter(({ id }) => this.#ports.isLate(id, this.seq));
  }
}
