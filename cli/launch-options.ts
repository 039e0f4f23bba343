/** What can be told to `launch`: one list for flags, environment and configuration file. */
import type { EngineName, LatencyClass } from "../mesh/index.ts";
import type { LogLevel } from "../mesh/io/log.ts";
import type { Option } from "./command.ts";

export const LOG_LEVELS = [
  "debug",
  "info",
  "warn",
  "error",
  "silent",
] as const satisfies readonly LogLevel[];

export const MEMBERSHIP_ENGINES = ["native", "swim"] as const satisfies readonly EngineName[];

export const LATENCY_CLASSES = ["lan", "wan"] as const satisfies readonly LatencyClass[];

export const DEFAULTS = {
  port: 6783,
  vxlanPort: 4789,
  ipallocRange: "10.32.0.0/12",
  network: "tsweave",
  membership: "native",
  latency: "lan",
  dnsDomain: "tsweave.local",
  http: "127.0.0.1:6784",
  stateDir: "/var/lib/tsweave",
  runDir: "/run/tsweave",
  dockerSocket: "/var/run/docker.sock",
  pluginDir: "/run/docker/plugins",
  pluginName: "tsweave",
  logLevel: "info",
} as const;

export const LAUNCH_OPTIONS: readonly Option[] = [
  { name: "name", value: "NAME", summary: "this peer's name", default: "the host name" },
  {
    name: "advertise",
    value: "ADDR[,ADDR...]",
    summary: "addresses that peers reach this host at, the best first",
    default: "the one that leads to the first peer, then others",
  },
  {
    name: "bind",
    value: "ADDR",
    summary: "address to listen on for peers",
    default: "0.0.0.0, :: where an IPv6 address is advertised",
  },
  {
    name: "port",
    value: "PORT",
    summary: "UDP and TCP port for peers",
    default: String(DEFAULTS.port),
  },
  {
    name: "vxlan-port",
    value: "PORT",
    summary: "UDP port of the data path, the same on all hosts",
    default: String(DEFAULTS.vxlanPort),
  },
  {
    name: "ipalloc-range",
    value: "CIDR",
    summary: "subnet of the containers, the same on all hosts",
    default: DEFAULTS.ipallocRange,
  },
  {
    name: "ipalloc-init",
    value: "MODE",
    summary:
      "first division of the subnet: consensus[=N] of the peers named; seed=NAME,NAME,... " +
      "computed from the founders' names, the same on all hosts; observer: never founds",
    default: "consensus",
  },
  {
    name: "network",
    value: "NAME",
    summary: "Docker network that launch makes",
    default: DEFAULTS.network,
  },
  {
    name: "membership",
    value: "ENGINE",
    summary: `${MEMBERSHIP_ENGINES.join(" or ")}, the same on all hosts`,
    words: MEMBERSHIP_ENGINES,
    default: DEFAULTS.membership,
  },
  {
    name: "latency",
    value: "CLASS",
    summary: "lan, or wan where round trips between hosts exceed 50 ms",
    words: LATENCY_CLASSES,
    default: DEFAULTS.latency,
  },
  {
    name: "mtu",
    value: "BYTES",
    summary: "MTU of the containers",
    default: "the underlay's less 50",
  },
  {
    name: "direct",
    summary: "no tunnel between hosts on one Ethernet segment, where probes show that it works",
  },
  {
    name: "dns-domain",
    value: "DOMAIN",
    summary: "domain that container names also have",
    default: DEFAULTS.dnsDomain,
  },
  {
    name: "http",
    value: "ADDR:PORT",
    summary: "where to serve the map to browsers and metrics to Prometheus",
    default: DEFAULTS.http,
  },
  { name: "no-http", summary: "serve neither map nor metrics" },
  {
    name: "dns-listen",
    value: "[ADDR:]PORT",
    summary: "also answer this host itself, at 127.0.0.1 unless ADDR is given",
    default: "off",
  },
  { name: "no-dns", summary: "leave name resolution to Docker" },
  {
    name: "password-file",
    value: "FILE",
    summary: "encrypt the mesh with the password in it, also TSWEAVE_PASSWORD",
  },
  {
    name: "state-dir",
    value: "DIR",
    summary: "what must outlive a restart",
    default: DEFAULTS.stateDir,
  },
  { name: "run-dir", value: "DIR", summary: "control socket", default: DEFAULTS.runDir },
  {
    name: "docker-socket",
    value: "PATH",
    summary: "socket of the Docker Engine",
    default: DEFAULTS.dockerSocket,
  },
  {
    name: "plugin-dir",
    value: "DIR",
    summary: "where the engine looks for plugins",
    default: DEFAULTS.pluginDir,
  },
  {
    name: "plugin-name",
    value: "NAME",
    summary: "the driver's name on this engine: tsweave:TAG in a managed plugin",
    default: DEFAULTS.pluginName,
  },
  { name: "no-docker", summary: "run without a Docker Engine" },
  {
    name: "log-level",
    value: "LEVEL",
    summary: LOG_LEVELS.join(", "),
    words: LOG_LEVELS,
    default: DEFAULTS.logLevel,
  },
  {
    name: "log-file",
    value: "FILE",
    summary: "where to log",
    default: "STATE-DIR/tsweave.log, stdout with --foreground",
  },
  { name: "foreground", summary: "stay, as under a service manager" },
  { name: "config", value: "FILE", summary: "JSON object with these options as fields" },
];

/** Options that only make sense on the command line or in the environment. */
export const NOT_IN_FILE: readonly string[] = ["config", "foreground"];

/** The environment variable of an option: `ipalloc-range` is TSWEAVE_IPALLOC_RANGE. */
export function environmentName(option: string): string {
  return `TSWEAVE_${option.toUpperCase().replaceAll("-", "_")}`;
}
