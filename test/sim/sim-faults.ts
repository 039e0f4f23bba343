/** What can happen to a simulated mesh, each drawn from the randomness it is given. */
import type { SeededRandom } from "../lib/seeded-random.ts";
import type { SimHost } from "./sim-host.ts";
import type { SimWorld } from "./sim-world.ts";

const HOUR_MS = 3_600_000;

type Strike = (world: SimWorld, random: SeededRandom, host: SimHost) => string | Promise<string>;

const STRIKES = {
  loss: ({ network }, random) => {
    network.loss = random.below(30) / 100;
    return `${Math.round(network.loss * 100)} % of datagrams lost`;
  },
  duplication: ({ network }, random) => {
    network.duplication = random.below(30) / 100;
    return `${Math.round(network.duplication * 100)} % of datagrams come twice`;
  },
  delay: ({ network }, random) => {
    network.delayMsMax = 1 + random.below(80);
    return `up to ${network.delayMsMax} ms one way`;
  },
  reorder: ({ network }, random) => {
    network.reorder = random.below(30) / 100;
    return `${Math.round(network.reorder * 100)} % of datagrams held back`;
  },
  partition: (world, random) => {
    world.heal();
    const side = new Set(world.hosts.filter(() => random.chance(0.5)));
    world.partition(side);
    return `cut off: ${[...side].map(({ name }) => name).join(" ")}`;
  },
  oneway: (world, random, host) => {
    const to = world.pick(random);
    world.cut(host, to);
    return `nothing passes from ${host.name} to ${to.name}`;
  },
  crash: async (world, random, host) => {
    // Now and then the power of the whole site.
    const hit = random.chance(0.1) ? world.hosts : [host];
    for (const one of hit) await world.crash(one);
    return `${hit.map(({ name }) => name).join(" ")} killed`;
  },
  restart: (world, _random, host) => {
    world.restart(host);
    return `${host.name} restarts`;
  },
  diskloss: async (world, random, host) => {
    if (!random.chance(0.3)) return "nothing";
    await world.loseDisk(host);
    return `${host.name} loses its disk`;
  },
  pause: (world, random, host) => {
    const ms = 100 + random.below(20_000);
    world.pause(host);
    world.clock.timer("sim-resume", ms, () => world.resume(host));
    return `${host.name} stands still for ${ms} ms`;
  },
  slow: ({ network }, random, host) => {
    const ms = random.below(150);
    network.slowMs.set(host.advertise.host, ms);
    return `${host.name} is up to ${ms} ms late`;
  },
  clockjump: (world, random, host) => {
    const ms = (random.below(2001) - 1000) * (HOUR_MS / 1000);
    world.jumpClock(host, ms);
    return `the wall clock of ${host.name} jumps by ${ms} ms`;
  },
} satisfies Record<string, Strike>;

export type Fault = keyof typeof STRIKES;

export const FAULTS = Object.keys(STRIKES) as readonly Fault[];

/** Makes it happen, to a host where it is about one; what was done, in words. */
export async function strike(world: SimWorld, fault: Fault, random: SeededRandom): Promise<string> {
  return await STRIKES[fault](world, random, world.pick(random));
}
