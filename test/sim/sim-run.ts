/**
 * One seeded life of a mesh: churn, faults, healing, and the checks on the way.
 *
 * Law: each step draws from randomness of its own, so a life from which some faults are left out
 * keeps all the others; that is what shrinking rests on.
 */
import { LIMITS } from "../../mesh/index.ts";
import { SeededRandom } from "../lib/seeded-random.ts";
import { checkSettled, checkStep, convergeMs, unsettled } from "./sim-checks.ts";
import { sequenceDiagram } from "./sim-diagram.ts";
import { FAULTS, type Fault, strike } from "./sim-faults.ts";
import { asViolation, LAWS, lawful, type Violation } from "./sim-violation.ts";
import { SimWorld } from "./sim-world.ts";

export interface SimOptions {
  readonly peers: number;
  readonly seed: number;
  readonly minutes: number;
  readonly faults: readonly Fault[];
  /** Bounds so low that small meshes relay their pushes and cut their logs. */
  readonly tight: boolean;
  /** Verdicts from what really reaches what instead of the native engine's. */
  readonly judged: boolean;
  /** The steps whose faults strike; absent: all. */
  readonly only?: readonly number[];
}

export interface SimReport {
  readonly granted: number;
  readonly announced: number;
  readonly faults: number;
  readonly packets: number;
  /** Verdicts of death, and how many of them were about somebody who ran and could be reached. */
  readonly deaths: number;
  readonly wrongDeaths: number;
  /** From the last repair until all agreed. */
  readonly convergedMs: number;
}

/** One fault that struck. */
export interface Struck {
  readonly step: number;
  readonly atMs: number;
  readonly fault: Fault;
  readonly text: string;
}

/** What `tight` sets. */
const TIGHT = { directPeersMax: 2, tombstonesMax: 4 };
/** How often a step brings a fault. */
const FAULT_SHARE = 0.15;
/** Daemons start, cuts heal and founding is done before agreement is asked for. */
const READY_MS = 60_000;

/** A failure with what is needed to see it again. */
export class SimFailure extends Error {
  readonly options: SimOptions;
  readonly violation: Violation;
  readonly atMs: number;
  readonly struck: readonly Struck[];
  /** Whether faults and churn were over, and agreement was waited for. */
  readonly isHealing: boolean;
  /** Mermaid text; empty unless packets were traced. */
  readonly diagram: string;

  constructor(options: SimOptions, life: Life, violation: Violation) {
    const { world, struck } = life;
    const atMs = world.failure?.atMs ?? world.clock.nowMs();
    const at = `seed ${options.seed} at ${Math.round(atMs)} ms: ${violation.message}`;
    super(`${at}\nlaw: ${LAWS[violation.law]}\nreplay: ${replayLine(options)}`);
    this.name = "SimFailure";
    this.options = options;
    this.violation = violation;
    this.atMs = atMs;
    this.struck = struck;
    this.isHealing = life.isHealing;
    this.diagram = sequenceDiagram(world, violation, atMs);
  }
}

export function replayLine(options: SimOptions): string {
  const { peers, seed, minutes, faults, tight, judged, only } = options;
  const all = faults.length === FAULTS.length ? "" : ` --faults ${faults.join(",")}`;
  const some = only === undefined ? "" : ` --only ${only.join(",") || "none"}`;
  const switches = `${tight ? " --tight" : ""}${judged ? " --judged" : ""}`;
  const life = `--peers ${peers} --seed ${seed} --minutes ${minutes}`;
  return `npm run sim -- ${life}${all}${some}${switches}`;
}

interface Life {
  readonly world: SimWorld;
  readonly options: SimOptions;
  readonly struck: Struck[];
  isHealing: boolean;
}

/**
 * Runs one seed; `traceMax` packets are kept for the picture of a failure.
 * @throws SimFailure naming the seed and how to replay it.
 */
export async function simulate(options: SimOptions, traceMax = 0): Promise<SimReport> {
  const world = new SimWorld(options.seed, options.peers, options.judged);
  world.network.traceMax = traceMax;
  const bounds = { ...LIMITS };
  if (options.tight) Object.assign(LIMITS, TIGHT);
  const life: Life = { world, options, struck: [], isHealing: false };
  try {
    await live(life);
    const convergedMs = await healed(life);
    const { granted, announced, network, deaths, wrongDeaths } = world;
    const packets = network.sentPackets;
    const counts = { granted, announced, deaths, wrongDeaths, packets, convergedMs };
    return { ...counts, faults: life.struck.length };
  } catch (error) {
    throw new SimFailure(options, life, asViolation(error));
  } finally {
    Object.assign(LIMITS, bounds);
    for (const host of world.hosts) await world.crash(host);
  }
}

async function live(life: Life): Promise<void> {
  const { world, options } = life;
  const { clock } = world;
  const endMs = options.minutes * 60_000;
  for (const host of world.hosts) {
    world.launch(host);
    await clock.run(world.random.below(300));
  }
  for (let step = 0; clock.nowMs() < endMs; step += 1) {
    const random = new SeededRandom(
      Math.imul(options.seed, 0x9e3779b1) ^ Math.imul(step + 1, 7919),
    );
    churn(world, random);
    const fault = options.faults[random.below(options.faults.length)];
    const isDue = random.chance(FAULT_SHARE) && (options.only?.includes(step) ?? true);
    if (fault !== undefined && isDue) {
      const [atMs, text] = [clock.nowMs(), await strike(world, fault, random)];
      world.note(`${fault}: ${text}`);
      life.struck.push({ step, atMs, fault, text });
    }
    await clock.run(random.chance(0.05) ? random.below(15_000) : random.below(800));
    checkStep(world);
    // Who crashed comes back after a while; cuts heal now and then, bad weather seldom.
    const down = world.hosts.filter(({ peer }) => peer === undefined);
    for (const host of down) if (random.chance(0.15)) world.launch(host);
    if (random.chance(0.03)) world.heal();
    if (random.chance(0.01)) world.network.calm();
  }
}

function churn(world: SimWorld, random: SeededRandom): void {
  const host = world.pick(random);
  const dice = random.below(100);
  if (dice < 45) world.startContainer(host);
  else if (dice < 70) world.stopContainer(host);
  else if (dice < 72) world.burst(host);
  else world.rename(host, random);
}

/** Everything is repaired; all must run, then agree in time, on what runs. */
async function healed(life: Life): Promise<number> {
  const { world } = life;
  const { clock, network } = world;
  life.isHealing = true;
  world.note("everything is healed");
  network.calm();
  for (const host of world.hosts) world.resume(host);
  world.heal();
  const readyByMs = clock.nowMs() + READY_MS;
  while (world.hosts.some((host) => !host.ready) && clock.nowMs() < readyByMs) {
    for (const host of world.hosts) world.launch(host);
    await clock.run(100);
  }
  const startMs = clock.nowMs();
  const withinMs = convergeMs(world);
  let why = unsettled(world);
  while (why !== undefined && clock.nowMs() < startMs + withinMs) {
    await clock.run(50);
    why = unsettled(world);
  }
  lawful(why === undefined, "agreed", `not settled ${withinMs} ms after healing: ${why}`);
  const convergedMs = clock.nowMs() - startMs;
  checkStep(world);
  checkSettled(world);
  return convergedMs;
}
