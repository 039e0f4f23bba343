/**
 * Problems that come and go, and changes of the roster, found by looking: they have no event of
 * their own anywhere.
 *
 * Law: looking costs at most a two-hundredth of the time, whatever the size of the mesh.
 */
import { type Cancel, type Clock, type Log, messageOf } from "../../mesh/index.ts";
import type { HealthProblem } from "../control/api.ts";
import type { EventLog } from "./event-log.ts";

interface Watched {
  readonly problems: () => readonly HealthProblem[];
  readonly roster: () => { readonly number: number | null; readonly members: readonly string[] };
}

const LOOK_MS = 2000;
const DUTY = 200;
/** Problems remembered; more are one problem to a person. */
const PROBLEMS_MAX = 256;

export class ProblemWatch {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #events: EventLog;
  readonly #watched: Watched;
  /** BOUNDED: PROBLEMS_MAX. */
  #open = new Map<string, HealthProblem>();
  #roster: number | null = null;
  #cancel: Cancel = () => undefined;

  constructor(ports: { clock: Clock; log: Log; events: EventLog }, watched: Watched) {
    this.#clock = ports.clock;
    this.#log = ports.log;
    this.#events = ports.events;
    this.#watched = watched;
  }

  start(): void {
    this.#roster = this.#watched.roster().number;
    this.#look();
  }

  stop(): void {
    this.#cancel();
  }

  #look(): void {
    const startMs = this.#clock.nowMs();
    try {
      this.#compare(this.#watched.problems());
      this.#compareRoster();
    } catch (error) {
      this.#log.warn({ error: messageOf(error) }, "problems could not be looked at");
    }
    const tookMs = this.#clock.nowMs() - startMs;
    const nextMs = Math.max(LOOK_MS, DUTY * tookMs);
    this.#cancel = this.#clock.timer("problem watch", nextMs, () => this.#look());
  }

  #compare(problems: readonly HealthProblem[]): void {
    const now = new Map(problems.slice(0, PROBLEMS_MAX).map((one) => [identity(one), one]));
    for (const [key, { code, text, next }] of now) {
      if (this.#open.has(key)) continue;
      this.#log.warn({ code, next }, text);
      this.#events.add("problem-raised", `${code}: ${text}`, { code, next });
    }
    for (const [key, { code, text }] of this.#open) {
      if (now.has(key)) continue;
      this.#log.info({ code }, `over: ${text}`);
      this.#events.add("problem-cleared", `${code} is over: ${text}`, { code });
    }
    this.#open = now;
  }

  #compareRoster(): void {
    const { number, members } = this.#watched.roster();
    if (number === null || number === this.#roster) return;
    this.#roster = number;
    const text = `roster ${number}: ${members.join(", ")} may own addresses`;
    this.#events.add("roster-changed", text, { number, members });
  }
}

/** Texts name how long something lasts and how many there are; the problem stays the same. */
export function identity({ code, text }: HealthProblem): string {
  const words = text.split(" ").map((word) => word.replace(/^\d+(ms|[dhms])?(?=[.,:;)]?$)/, "#"));
  return `${code} ${words.join(" ").replace(/#( #)+/g, "#")}`;
}
