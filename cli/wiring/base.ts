/**
 * What every part of the daemon is given, and the look at the host before anything is changed.
 *
 * Law: whatever is wrong with the host or the configuration is said before the first change.
 */
import type { Clock, HostPort, Log, Random } from "../../mesh/index.ts";
import { processClock } from "../../mesh/io/clock.ts";
import { cryptoRandom } from "../../mesh/io/random.ts";
import { checkHost, createEngine, readUnderlay, subnetOverlaps } from "../../overlay/index.ts";
import { chooseAdvertise, isOwnAddress, resolvePeers } from "../advertise.ts";
import type { LaunchConfig } from "../config.ts";
import type { Stops } from "./stops.ts";

/** What every part of the daemon may use. */
export interface Base {
  readonly config: LaunchConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly stops: Stops;
  readonly advertise: HostPort;
  /** Peers named at launch, literal addresses, without this host. */
  readonly peers: readonly HostPort[];
  readonly underlayMtuBytes: number;
}

/** Looks at the host and settles addresses. Nothing is changed yet. */
export async function prepare(config: LaunchConfig, log: Log, stops: Stops): Promise<Base> {
  const clock = processClock();
  const [problem] = [
    ...(await checkHost({ vxlanPort: config.vxlanPort })),
    ...(await subnetOverlaps(config.ipallocRange)),
  ];
  if (problem !== undefined) throw problem;
  if (config.docker && !config.foreground) {
    await createEngine(config.dockerSocket, clock, log).version();
  }
  const named = await resolvePeers(config.peers);
  const host = config.advertise ?? (await chooseAdvertise(named));
  const advertise = { host, port: config.port };
  const isSelf = (peer: HostPort): boolean => peer.port === config.port && isOwnAddress(peer.host);
  const { mtuBytes } = await readUnderlay(host);
  return {
    config,
    clock,
    random: cryptoRandom(),
    log,
    stops,
    advertise,
    peers: named.filter((peer) => !isSelf(peer)),
    underlayMtuBytes: mtuBytes,
  };
}
