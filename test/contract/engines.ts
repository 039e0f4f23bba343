/** The two engines as suites run them, ten times faster than shipped, and peers of either kind. */
import type {
  Datagrams,
  EngineName,
  HostPort,
  Log,
  MembershipEngine,
  PeerMeta,
  Random,
} from "../../mesh/index.ts";
import { processClock } from "../../mesh/io/clock.ts";
import { cryptoRandom } from "../../mesh/io/random.ts";
import { createSwimEngine } from "../../mesh/io/swim-engine.ts";
import { scaledNative } from "../../mesh/membership/native/config.ts";
import { createNativeEngine } from "../../mesh/membership/native/engine.ts";
import { scaledTiming } from "../../mesh/membership/timing.ts";
import { LiveNetwork } from "../lib/live-network.ts";
import { QuietLog } from "../lib/quiet-log.ts";
import type { EngineUnderTest } from "./membership.ts";

interface Around {
  readonly log?: Log;
  random?(self: PeerMeta): Random;
}

/** The swim engine with these times. */
export function swimUnderTest(timing = scaledTiming(0.1), around: Around = {}): EngineUnderTest {
  return {
    name: "swim",
    intervalMs: timing.intervalMs,
    suspicionMs: timing.suspicionSmallMs,
    // A few rounds to the first probe, the probe itself, two pings of each hearer.
    closedMs: 12 * timing.intervalMs,
    healMaxMs: timing.healMaxMs,
    lacks: {
      "lone accuser":
        "its updates carry no accuser, so confirmations cannot be counted (Lifeguard)",
    },
    create: (datagrams, self, targets, streams) =>
      createSwimEngine({ datagrams, streams, ...portsOf(self, around) }, { self, targets, timing }),
  };
}

/** The native engine with these times. */
export function nativeUnderTest(timing = scaledNative(0.1), around: Around = {}): EngineUnderTest {
  return {
    name: "native",
    intervalMs: timing.innerMs + timing.graceMs,
    suspicionMs: timing.suspicionSmallMs,
    closedMs: 3 * (timing.innerMs + timing.graceMs),
    healMaxMs: timing.healMaxMs,
    create: (datagrams, self, targets, streams) =>
      createNativeEngine(
        { datagrams, streams, ...portsOf(self, around) },
        { self, targets, timing },
      ),
  };
}

function portsOf(self: PeerMeta, { log = new QuietLog(), random = cryptoRandom }: Around) {
  return { clock: processClock(), random: random(self), log };
}

/** Peers of one network, by their metas, of either engine; none of their hosts answers. */
export class Peers {
  readonly network = new LiveNetwork(7);
  readonly log = new QuietLog();
  readonly engines: MembershipEngine[] = [];

  async start(
    self: PeerMeta,
    targets: readonly HostPort[],
    name: EngineName = "native",
    datagrams: Datagrams = this.network.datagrams(self.advertise),
  ): Promise<MembershipEngine> {
    const around = { log: this.log };
    const made =
      name === "native" ? nativeUnderTest(undefined, around) : swimUnderTest(undefined, around);
    const streams = { probe: async () => "silent" as const };
    const engine = made.create(datagrams, self, targets, streams);
    this.engines.push(engine);
    await engine.start();
    return engine;
  }

  async end(): Promise<void> {
    for (const engine of this.engines) await engine.stop();
  }
}

/** Runs a test on peers of its own, and stops them. */
export async function withPeers(run: (peers: Peers) => Promise<void>): Promise<void> {
  const peers = new Peers();
  try {
    await run(peers);
  } finally {
    await peers.end();
  }
}

/** How many it sees alive, itself included. */
export const alive = (engine: MembershipEngine): number =>
  engine.members().filter((member) => member.state === "alive").length;

/** What it has to say to a person. */
export const codes = (engine: MembershipEngine): string[] =>
  engine.problems().map((problem) => problem.code);
