/**
 * What every part of the daemon is given, and the look at the host before anything is changed.
 *
 * Law: whatever is wrong with the host or the configuration is said before the first change.
 */
import { isIP } from "node:net";
import { checkInitCount } from "../../ipalloc/index.ts";
import { type Clock, type HostPort, type Random, TsweaveError } from "../../mesh/index.ts";
import { processClock } from "../../mesh/io/clock.ts";
import type { LeveledLog } from "../../mesh/io/log.ts";
import { cryptoRandom } from "../../mesh/io/random.ts";
import {
  checkHost,
  createEngine,
  readUnderlay,
  subnetOverlaps,
  ToolSessions,
} from "../../overlay/index.ts";
import { chooseAdvertise, isOwnAddress, resolvePeers } from "../advertise.ts";
import type { LaunchConfig } from "../config.ts";
import type { DockerSilence } from "../launch-report.ts";
import type { Stops } from "./stops.ts";

/** What every part of the daemon may use. */
export interface Base {
  readonly config: LaunchConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: LeveledLog;
  readonly stops: Stops;
  /** The tools that stay open. */
  readonly tools: ToolSessions;
  /** The address that peers are to prefer. */
  readonly advertise: HostPort;
  /** All addresses, that one first. */
  readonly hosts: readonly string[];
  readonly bind: HostPort;
  /** Peers named at launch, literal addresses, without this host. */
  readonly peers: readonly HostPort[];
  /** Docker is there and did not answer when asked: what it has to make is made later. */
  readonly dockerSilence: DockerSilence | undefined;
  readonly underlayMtuBytes: number;
}

/** Looks at the host and settles addresses. Nothing is changed yet. */
export async function prepare(config: LaunchConfig, log: LeveledLog, stops: Stops): Promise<Base> {
  const clock = processClock();
  const [problem] = [
    ...(await checkHost({ vxlanPort: config.vxlanPort })),
    ...(await subnetOverlaps(config.ipallocRange)),
  ];
  if (problem !== undefined) throw problem;
  const asks = config.docker && !config.foreground;
  const engine = createEngine(config.dockerSocket, clock, log);
  const dockerSilence = asks ? await silenceOf(engine, clock) : undefined;
  const named = await resolvePeers(config.peers);
  const hosts = config.advertise ?? (await chooseAdvertise(named, config.bind));
  const [host = ""] = hosts;
  const advertise = { host, port: config.port };
  const isSelf = (peer: HostPort): boolean => peer.port === config.port && isOwnAddress(peer.host);
  const { mtuBytes } = await readUnderlay(host);
  const peers = named.filter((peer) => !isSelf(peer));
  checkInitCount(config.ipallocInit, peers.length + 1);
  const tools = new ToolSessions({ clock });
  stops.add("tools", () => tools.close());
  return {
    config,
    clock,
    random: cryptoRandom(),
    log,
    stops,
    tools,
    advertise,
    hosts,
    bind: { host: bindFor(hosts, config), port: config.port },
    peers,
    dockerSilence,
    underlayMtuBytes: mtuBytes,
  };
}

/**
 * A person who has no Docker hears of it at once. One that is there and silent is no reason to
 * wait: an engine that starts asks its plugins for each container before it answers anybody.
 */
async function silenceOf(
  engine: ReturnType<typeof createEngine>,
  clock: Clock,
): Promise<DockerSilence | undefined> {
  const askedMs = clock.nowMs();
  try {
    await engine.version();
    return undefined;
  } catch (error) {
    const cause = error instanceof TsweaveError ? error.cause : undefined;
    const isSilent = cause instanceof Error && !("code" in cause);
    if (!isSilent) throw error;
    return { waitedMs: Math.round(clock.nowMs() - askedMs) };
  }
}

/**
 * Where to listen for peers that use these addresses. An IPv6 wildcard takes IPv4 packets as well.
 * @throws TsweaveError CONFIG when --bind could not hear them.
 */
export function bindFor(hosts: readonly string[], { bind }: Pick<LaunchConfig, "bind">): string {
  const isV6 = hosts.some((host) => isIP(host) === 6);
  if (bind === undefined) return isV6 ? "::" : "0.0.0.0";
  if (isV6 && isIP(bind) === 4) {
    throw new TsweaveError("CONFIG", `--bind ${bind} hears no packet for IPv6 addresses`, {
      hint: "use --bind :: or advertise IPv4 addresses only",
    });
  }
  if (bind !== "::" && isIP(bind) === 6 && hosts.some((host) => isIP(host) === 4)) {
    throw new TsweaveError("CONFIG", `--bind ${bind} hears no packet for IPv4 addresses`, {
      hint: "use --bind :: or advertise IPv6 addresses only",
    });
  }
  return bind;
}
