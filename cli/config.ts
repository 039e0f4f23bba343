/**
 * The daemon's configuration, whole and checked before anything is touched.
 *
 * Law: strict. A value that is not exactly what it should be is refused with its source and with
 * what was meant; nothing is corrected in silence.
 */
import { isIP } from "node:net";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { type InitMode, overlaps, parseCidr, parseInitMode } from "../ipalloc/index.ts";
import {
  type EngineName,
  type HostPort,
  type LatencyClass,
  LIMITS,
  TsweaveError,
} from "../mesh/index.ts";
import type { LogLevel } from "../mesh/io/log.ts";
import { canonicalIp } from "../overlay/index.ts";
import { isReachable } from "./advertise.ts";
import { DEFAULTS, LATENCY_CLASSES, LOG_LEVELS, MEMBERSHIP_ENGINES } from "./launch-options.ts";
import { passwordOf, type Secret } from "./password.ts";
import { parsePeer, parsePort } from "./peer-address.ts";
import { type Given, gather, type Setting, type Settings } from "./settings.ts";

export interface LaunchConfig {
  /** As given: hosts may be names that are still to be resolved. */
  readonly peers: readonly HostPort[];
  readonly name: string;
  /** Literal addresses, the preferred one first; undefined: to be chosen. */
  readonly advertise: readonly string[] | undefined;
  /** A literal address; undefined: every address, of IPv6 too where that is advertised. */
  readonly bind: string | undefined;
  readonly port: number;
  readonly vxlanPort: number;
  /** Canonical CIDR. */
  readonly ipallocRange: string;
  readonly ipallocInit: InitMode;
  readonly network: string;
  readonly membership: EngineName;
  readonly latency: LatencyClass;
  /** 576 to 65535; undefined: the underlay's less the overhead. */
  readonly mtuBytes: number | undefined;
  /** Lower case, without a dot at the end. */
  readonly dnsDomain: string;
  readonly dns: boolean;
  /** Whether containers may leave the tunnels between hosts on one Ethernet segment. */
  readonly direct: boolean;
  /** Where the host itself may ask; undefined: nowhere. */
  readonly dnsListen: HostPort | undefined;
  /** Where to serve metrics; undefined: nowhere. */
  readonly http: HttpListener | undefined;
  /** Undefined: the mesh is not encrypted. */
  readonly password: Secret | undefined;
  /** Paths are absolute. */
  readonly stateDir: string;
  readonly runDir: string;
  readonly dockerSocket: string;
  readonly pluginDir: string;
  readonly pluginName: string;
  readonly docker: boolean;
  readonly logLevel: LogLevel;
  /** Undefined: the state directory's tsweave.log, or standard output in the foreground. */
  readonly logFile: string | undefined;
  /** Open file descriptor to log to. */
  readonly logFd: number;
  /** For the daemon: true when no `launch` waits for it, so that it may wait for Docker itself. */
  readonly foreground: boolean;
}

export interface HttpListener {
  readonly at: HostPort;
  /** Asked for by name: then a port in use is an error, and else only a note. */
  readonly isWished: boolean;
}

const DOMAIN =
  /^(?=.{1,200}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;
/** The engine's own rule for names. */
const NETWORK_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/;
/** A unix socket's path holds 107 bytes; this leaves room for the file's own name. */
const SOCKET_DIR_BYTES_MAX = 80;
const UNUSABLE = ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"].map(parseCidr);

/** Everything `launch` was told. @throws TsweaveError CONFIG, naming the setting at fault. */
export function launchConfig(given: Given): LaunchConfig {
  const settings = gather(given);
  const take = taker(settings);
  const isOn = (name: string) => settings.values.get(name)?.text === "true";
  const port = take("port", portOf) ?? DEFAULTS.port;
  const vxlanPort = take("vxlan-port", portOf) ?? DEFAULTS.vxlanPort;
  if (port === vxlanPort) {
    throw new TsweaveError("CONFIG", `--port and --vxlan-port are both ${port}`, {
      hint: "both are UDP, give them different numbers",
    });
  }
  return {
    peers: peersOf(settings.peers, port),
    name: take("name", nameOf) ?? nameOf(hostname().slice(0, 63)),
    advertise: take("advertise", advertiseOf),
    bind: take("bind", addressOf),
    port,
    vxlanPort,
    ipallocRange: take("ipalloc-range", rangeOf) ?? DEFAULTS.ipallocRange,
    ipallocInit: take("ipalloc-init", parseInitMode) ?? { kind: "consensus" },
    network: take("network", networkOf) ?? DEFAULTS.network,
    membership: take("membership", engineOf) ?? DEFAULTS.membership,
    latency: take("latency", latencyOf) ?? DEFAULTS.latency,
    mtuBytes: take("mtu", mtuOf),
    dnsDomain: take("dns-domain", domainOf) ?? DEFAULTS.dnsDomain,
    dns: !isOn("no-dns"),
    direct: isOn("direct"),
    dnsListen: take("dns-listen", listenerOf),
    http: httpOf(take("http", httpAddressOf), isOn("no-http")),
    password: passwordOf(settings.values.get("password-file"), given.env),
    stateDir: take("state-dir", pathOf) ?? DEFAULTS.stateDir,
    runDir: take("run-dir", socketDirOf) ?? DEFAULTS.runDir,
    dockerSocket: take("docker-socket", pathOf) ?? DEFAULTS.dockerSocket,
    pluginDir: take("plugin-dir", socketDirOf) ?? DEFAULTS.pluginDir,
    pluginName: take("plugin-name", pluginNameOf) ?? DEFAULTS.pluginName,
    docker: !isOn("no-docker"),
    logLevel: take("log-level", levelOf) ?? DEFAULTS.logLevel,
    logFile: take("log-file", pathOf),
    logFd: 1,
    foreground: isOn("foreground"),
  };
}

type Reader<Value> = (text: string) => Value;

/** Reads one setting; what its reader throws is prefixed with where the setting came from. */
function taker(settings: Settings) {
  return <Value>(name: string, read: Reader<Value>): Value | undefined => {
    const setting = settings.values.get(name);
    return setting === undefined ? undefined : located(setting, read);
  };
}

function located<Value>({ text, source }: Setting, read: Reader<Value>): Value {
  try {
    return read(text);
  } catch (error) {
    if (!(error instanceof TsweaveError)) throw error;
    const { code, hint, message } = error;
    const options = hint === undefined ? { cause: error } : { hint, cause: error };
    throw new TsweaveError(code, `${source}: ${message}`, options);
  }
}

function wrong(text: string, what: string, hint: string): TsweaveError {
  return new TsweaveError("CONFIG", `'${text.slice(0, 100)}' is not ${what}`, { hint });
}

function peersOf(peers: readonly Setting[], port: number): HostPort[] {
  if (peers.length > LIMITS.declaredMax) {
    throw new TsweaveError("CONFIG", `${peers.length} peers are named`, {
      hint: `name at most ${LIMITS.declaredMax}; the others are learned from them`,
    });
  }
  const found = peers.map((setting) => located(setting, (text) => parsePeer(text, port)));
  return [...new Map(found.map((peer) => [`${peer.host} ${peer.port}`, peer])).values()];
}

function portOf(text: string): number {
  const port = parsePort(text);
  if (port === undefined) throw wrong(text, "a port", "write a number from 1 to 65535");
  return port;
}

function mtuOf(text: string): number {
  const mtu = /^[1-9][0-9]{2,4}$/.test(text) ? Number(text) : 0;
  if (mtu >= 576 && mtu <= 65_535) return mtu;
  throw wrong(text, "an MTU", "write a number of bytes from 576 to 65535");
}

function nameOf(text: string): string {
  if (/^[\x21-\x7e]{1,63}$/.test(text)) return text;
  throw wrong(text, "a peer name", "use 1 to 63 printable characters without spaces");
}

function networkOf(text: string): string {
  const reserved = ["bridge", "host", "none", "default"].includes(text);
  if (NETWORK_NAME.test(text) && !reserved) return text;
  const hint = "start with a letter or digit, then letters, digits, '_', '.', '-', 63 in all";
  throw wrong(text, "a network name", reserved ? "Docker keeps this name for itself" : hint);
}

function pluginNameOf(text: string): string {
  if (/^[a-z0-9][a-z0-9._/:-]{0,254}$/.test(text)) return text;
  throw wrong(text, "a plugin's name", "name it as 'docker plugin ls' does: tsweave:latest");
}

function domainOf(text: string): string {
  const domain = text.toLowerCase().replace(/\.$/, "");
  if (DOMAIN.test(domain)) return domain;
  throw wrong(text, "a domain", `write labels joined by dots, such as ${DEFAULTS.dnsDomain}`);
}

/** A wildcard is refused: replies must leave from the address that was asked. */
function listenerOf(text: string): HostPort {
  const [, host = "127.0.0.1", digits = ""] = /^(?:(.+):)?([0-9]+)$/.exec(text) ?? [];
  const address = host.replace(/^\[(.*)\]$/, "$1");
  const port = parsePort(digits);
  const isOne = isIP(address) !== 0 && !/^(0\.0\.0\.0|[0:]+)$/.test(address);
  if (isOne && port !== undefined) return { host: address, port };
  throw wrong(text, "where to listen", "write PORT, or an address of this host and a port");
}

function addressOf(text: string): string {
  if (isIP(text) !== 0) return text;
  throw wrong(text, "an IP address", "write an address of this host, such as 192.168.48.11");
}

function advertiseOf(text: string): readonly string[] {
  const hosts = text.split(",").map((one) => advertisedHost(one.trim()));
  const hint = `write each once, at most ${LIMITS.addressesPerPeerMax}`;
  if (new Set(hosts).size < hosts.length || hosts.length > LIMITS.addressesPerPeerMax) {
    throw wrong(text, "a list of this host's addresses", hint);
  }
  return hosts;
}

function advertisedHost(text: string): string {
  if (isReachable(text)) return canonicalIp(text);
  const hint = "write this host's own address, such as 192.168.48.11 or fd00::11";
  throw wrong(text, "an address that peers can reach", hint);
}

function rangeOf(text: string): string {
  const cidr = parseCidr(text);
  const hint = `such as ${DEFAULTS.ipallocRange}`;
  if (cidr.bits !== 32) throw wrong(text, "an IPv4 subnet", hint);
  if (UNUSABLE.some((range) => overlaps(range, cidr))) {
    throw wrong(text, "a subnet that hosts can use", hint);
  }
  if (cidr.prefix < 8 || cidr.prefix > 28) {
    throw wrong(text, "of a usable size", "use a prefix from /8 to /28");
  }
  return cidr.text;
}

function httpOf(wish: HostPort | undefined, isOff: boolean): HttpListener | undefined {
  if (isOff && wish !== undefined) {
    throw new TsweaveError("CONFIG", "--http and --no-http exclude one another", {
      hint: "give one of them",
    });
  }
  if (isOff) return undefined;
  return { at: wish ?? httpAddressOf(DEFAULTS.http), isWished: wish !== undefined };
}

function httpAddressOf(text: string): HostPort {
  const at = parsePeer(text, 0);
  if (isIP(at.host) !== 0 && at.port !== 0) return at;
  throw wrong(text, "ADDR:PORT", `write an address of this host and a port, as ${DEFAULTS.http}`);
}

function engineOf(text: string): EngineName {
  const engine = MEMBERSHIP_ENGINES.find((candidate) => candidate === text);
  if (engine !== undefined) return engine;
  const hint = `use ${MEMBERSHIP_ENGINES.join(" or ")}, the same on all hosts`;
  throw wrong(text, "a membership engine", hint);
}

function latencyOf(text: string): LatencyClass {
  const found = LATENCY_CLASSES.find((candidate) => candidate === text);
  if (found !== undefined) return found;
  throw wrong(text, "a latency class", `use ${LATENCY_CLASSES.join(" or ")}`);
}

function levelOf(text: string): LogLevel {
  const level = LOG_LEVELS.find((candidate) => candidate === text);
  if (level === undefined) throw wrong(text, "a log level", `use one of ${LOG_LEVELS.join(", ")}`);
  return level;
}

function pathOf(text: string): string {
  if (!text.includes("://") && !text.includes("\0")) return resolve(text);
  throw wrong(text, "a path", "write a file path such as /var/run/docker.sock");
}

function socketDirOf(text: string): string {
  const path = pathOf(text);
  if (Buffer.byteLength(path) <= SOCKET_DIR_BYTES_MAX) return path;
  throw wrong(text, "short enough for a socket", `use at most ${SOCKET_DIR_BYTES_MAX} bytes`);
}
