/**
 * What happens when, from the seed alone. Law: the same seed, minutes and hosts give the same
 * schedule, whatever happens while it runs; daemon, engine, cable of a host have one fault at once.
 */
import { SeededRandom } from "../lib/seeded-random.ts";
import type { Churn, Fault, Round, Step } from "./action.ts";
import { DAEMON_FAULTS, drawFault, FAULTS } from "./plan-faults.ts";

export const DEFAULT_NETWORK = "tsweave";
export const SECOND_NETWORK = "second";

/** Groups of containers with a network of their own, each on any number of hosts. */
export const GROUPS = ["g1", "g2"] as const;

/** Steps are drawn for so long; healing and checks make a round about a minute. */
const ROUND_MS = 30_000;
const CHURN_EVERY_MS = 1_400;
const GROUP_EVERY_MS = 7_000;
const FAULT_EVERY_MS = { daemon: 5_000, all: 3_000 };
const CONTAINERS_MAX = 6;

interface Planned {
  name: string;
  networks: Set<string>;
}

export interface PlanOptions {
  readonly seed: number;
  /** Rounds, of about a minute each. */
  readonly minutes: number;
  readonly hosts: readonly string[];
  /** The host whose state directory can be full; it is never without power. */
  readonly tight: string;
}

/** The whole schedule. Every second round has faults of the daemons alone. */
export function plan(options: PlanOptions): Round[] {
  const planner = new Planner(options);
  return Array.from({ length: options.minutes }, (_, at) => planner.round(at + 1));
}

class Planner {
  readonly #random: SeededRandom;
  readonly #options: PlanOptions;
  /** BOUNDED: CONTAINERS_MAX a host. What should be there if every step did what it says. */
  readonly #containers = new Map<string, Planned[]>();
  /** BOUNDED: GROUPS on each host. */
  readonly #groups = new Set<string>();
  readonly #freed: string[] = [];
  #steps = 0;
  #names = 0;
  #ips = 0;

  constructor(options: PlanOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    for (const host of options.hosts) this.#containers.set(host, []);
  }

  round(number: number): Round {
    const theme = number % 2 === 1 ? "daemon" : "all";
    const kinds = theme === "daemon" ? DAEMON_FAULTS : FAULTS;
    const due: { atMs: number; make: () => Churn | Fault | undefined }[] = [];
    const busyUntilMs = new Map<string, number>();
    const everyMs = FAULT_EVERY_MS[theme];
    for (let atMs = this.#around(700); atMs < ROUND_MS; atMs += this.#around(CHURN_EVERY_MS)) {
      due.push({ atMs, make: () => this.#churn() });
    }
    for (let atMs = this.#around(3000); atMs < ROUND_MS; atMs += this.#around(GROUP_EVERY_MS)) {
      due.push({ atMs, make: () => this.#group() });
    }
    const { hosts, tight } = this.#options;
    for (let atMs = this.#around(2500); atMs < ROUND_MS; atMs += this.#around(everyMs)) {
      const left = { hosts, tight, atMs, roundMs: ROUND_MS, busyUntilMs };
      due.push({ atMs, make: () => drawFault(this.#random, this.#pick(kinds), left) });
    }
    due.sort((a, b) => a.atMs - b.atMs);
    const steps: Step[] = [];
    for (const { atMs, make } of due) {
      const action = make();
      if (action === undefined) continue;
      this.#steps += 1;
      steps.push({ number: this.#steps, atMs, action });
    }
    return { number, theme, steps };
  }

  /** A group begins or ends on a host; the same one may be on others. */
  #group(): Churn {
    const host = this.#pick(this.#options.hosts);
    const group = this.#pick(GROUPS);
    const by = this.#random.chance(0.5) ? "docker" : "tsweave";
    const key = `${group} ${host}`;
    if (this.#groups.delete(key)) return { kind: "group-down", host, group, by };
    this.#groups.add(key);
    return { kind: "group-up", host, group, by };
  }

  #churn(): Churn {
    const host = this.#pick(this.#options.hosts);
    const here = this.#containers.get(host) ?? [];
    const isFull = here.length >= CONTAINERS_MAX;
    if (here.length < 2 || (!isFull && this.#random.chance(0.35))) return this.#run(host, here);
    const one = this.#pick(here);
    const lot = this.#random.below(isFull ? 3 : 8);
    if (lot < 3) return this.#remove(host, here, one);
    if (lot === 3) return this.#rename(host, one);
    if (lot === 4) return { kind: "restart", host, name: one.name };
    return this.#plug(host, one);
  }

  #run(host: string, here: Planned[]): Churn {
    const name = this.#name();
    here.push({ name, networks: new Set([DEFAULT_NETWORK]) });
    const index = this.#options.hosts.indexOf(host) + 1;
    // Never the same twice, so that no address is asked for on both sides of a cut.
    const ip = this.#random.chance(0.2) ? this.#ip(index) : null;
    const alias = this.#random.chance(0.3) ? `all${this.#random.below(3)}` : null;
    const isRestarted = this.#random.chance(0.3);
    const isPublished = this.#random.chance(0.3);
    return { kind: "run", host, name, ip, alias, isRestarted, isPublished };
  }

  #ip(index: number): string {
    this.#ips += 1;
    return `10.4${index}.${Math.floor(this.#ips / 250)}.${1 + (this.#ips % 250)}`;
  }

  /** A new name, or one that is free again, on whatever host. */
  #name(): string {
    if (this.#freed.length > 0 && this.#random.chance(0.25)) {
      return this.#freed.splice(this.#random.below(this.#freed.length), 1)[0] ?? "";
    }
    this.#names += 1;
    return `c${this.#names}`;
  }

  #remove(host: string, here: Planned[], one: Planned): Churn {
    here.splice(here.indexOf(one), 1);
    this.#freed.push(one.name);
    return { kind: "rm", host, name: one.name };
  }

  #rename(host: string, one: Planned): Churn {
    const name = one.name;
    one.name = this.#name();
    this.#freed.push(name);
    return { kind: "rename", host, name, to: one.name };
  }

  #plug(host: string, one: Planned): Churn {
    const network = this.#random.chance(0.6) ? SECOND_NETWORK : DEFAULT_NETWORK;
    if (one.networks.delete(network)) return { kind: "disconnect", host, name: one.name, network };
    one.networks.add(network);
    const alias = this.#random.chance(0.3) ? `all${this.#random.below(3)}` : null;
    return { kind: "connect", host, name: one.name, network, alias };
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.below(from.length)] as T;
  }

  /** Between half of it and one and a half. */
  #around(ms: number): number {
    return Math.round(ms / 2 + this.#random.below(ms));
  }
}
