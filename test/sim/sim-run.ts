/** One seeded life of a mesh: churn, faults, healing, and the checks on the way. */
import { LIMITS, messageOf } from "../../mesh/index.ts";
import { checkSettled, checkStep, convergeMs, unsettled } from "./sim-checks.ts";
import { sequenceDiagram } from "./sim-diagram.ts";
import { SimWorld } from "./sim-world.ts";

export const FAULTS = [
  "loss",
  "partition",
  "oneway",
  "crash",
  "restart",
  "diskloss",
  "pause",
  "clockjump",
] as const;
export type Fault = (typeof FAULTS)[number];

export interface SimOptions {
  readonly peers: number;
  readonly seed: number;
  readonly minutes: number;
  readonly faults: readonly Fault[];
  /** Bounds so low that small meshes relay their pushes and cut their logs. */
  readonly tight: boolean;
  /** The native membership engine instead of verdicts from what really reaches what. */
  readonly native: boolean;
}

/** What `tight` sets. */
const TIGHT = { directPeersMax: 2, tombstonesMax: 4 };

export interface SimReport {
  readonly granted: number;
  readonly announced: number;
  readonly faults: number;
  readonly packets: number;
  /** From the last repair until all agreed. */
  readonly convergedMs: number;
}

/** How often a step brings a fault. */
const FAULT_SHARE = 0.15;
const HOUR_MS = 3_600_000;
/** Daemons start, cuts heal and founding is done before agreement is asked for. */
const READY_MS = 60_000;
const TRACE_PACKETS = 60;

/** A failure with what is needed to see it again. */
export class SimFailure extends Error {
  constructor(options: SimOptions, world: SimWorld, cause: unknown) {
    const { peers, seed, minutes, faults, tight, native } = options;
    const switches = `${tight ? " --tight" : ""}${native ? " --native" : ""}`;
    const life = `--peers ${peers} --seed ${seed} --minutes ${minutes}`;
    const replay = `npm run sim -- ${life} --faults ${faults.join(",")}${switches}`;
    const at = `seed ${seed} at ${Math.round(world.clock.nowMs())} ms: ${messageOf(cause)}`;
    super(`${at}\nreplay: ${replay}\n\n${sequenceDiagram(world)}`, { cause });
    this.name = "SimFailure";
  }
}

/** Runs one seed. @throws SimFailure naming the seed, how to replay it, and the last packets. */
export async function simulate(options: SimOptions): Promise<SimReport> {
  const world = new SimWorld(options.seed, options.peers, options.native);
  world.network.traceMax = TRACE_PACKETS;
  const bounds = { ...LIMITS };
  if (options.tight) Object.assign(LIMITS, TIGHT);
  try {
    const faults = await live(world, options);
    const convergedMs = await healed(world);
    const { granted, announced, network } = world;
    return { granted, announced, faults, packets: network.sentPackets, convergedMs };
  } catch (error) {
    throw new SimFailure(options, world, error);
  } finally {
    Object.assign(LIMITS, bounds);
    for (const host of world.hosts) await world.crash(host);
  }
}

async function live(world: SimWorld, options: SimOptions): Promise<number> {
  const { random, clock } = world;
  const endMs = options.minutes * 60_000;
  let faults = 0;
  for (const host of world.hosts) {
    world.launch(host);
    await clock.run(random.below(300));
  }
  while (clock.nowMs() < endMs) {
    churn(world);
    const fault = options.faults[random.below(options.faults.length)];
    if (fault !== undefined && random.chance(FAULT_SHARE)) {
      faults += 1;
      await strike(world, fault);
    }
    await clock.run(random.chance(0.05) ? random.below(15_000) : random.below(800));
    checkStep(world);
    // Who crashed comes back after a while; cuts heal now and then.
    const down = world.hosts.filter(({ peer }) => peer === undefined);
    for (const host of down) if (random.chance(0.15)) world.launch(host);
    if (random.chance(0.03)) world.heal();
  }
  return faults;
}

function churn(world: SimWorld): void {
  const host = world.any();
  const dice = world.random.below(100);
  if (dice < 45) world.startContainer(host);
  else if (dice < 70) world.stopContainer(host);
  else world.rename(host);
}

async function strike(world: SimWorld, fault: Fault): Promise<void> {
  const { random, network, clock } = world;
  const host = world.any();
  switch (fault) {
    case "loss":
      network.loss = random.below(30) / 100;
      network.duplication = random.below(20) / 100;
      network.delayMsMax = 1 + random.below(80);
      return;
    case "partition":
      world.heal();
      world.partition(new Set(world.hosts.filter(() => random.chance(0.5))));
      return;
    case "oneway":
      world.cut(host, world.any());
      return;
    case "crash":
      // Now and then the power of the whole site.
      for (const one of random.chance(0.1) ? world.hosts : [host]) await world.crash(one);
      return;
    case "restart":
      world.restart(host);
      return;
    case "diskloss":
      if (random.chance(0.3)) await world.loseDisk(host);
      return;
    case "pause":
      world.pause(host);
      clock.timer("sim-resume", 100 + random.below(20_000), () => world.resume(host));
      return;
    case "clockjump":
      world.jumpClock(host, (random.below(2001) - 1000) * (HOUR_MS / 1000));
      return;
  }
}

/** Everything is repaired; all must run, then agree in time, on what runs. */
async function healed(world: SimWorld): Promise<number> {
  const { clock, network } = world;
  network.loss = 0;
  network.duplication = 0;
  network.delayMsMax = 3;
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
  if (why !== undefined) throw new Error(`not settled ${withinMs} ms after healing: ${why}`);
  const convergedMs = clock.nowMs() - startMs;
  checkStep(world);
  checkSettled(world);
  return convergedMs;
}
