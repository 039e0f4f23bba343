/**
 * Networks, endpoints and names as rows of the replicated tables, and back.
 *
 * Law: nothing on the wire is trusted: each field is read with its shape. Fields are only
 * appended; readers ignore what follows those they know.
 */
import {
  LIMITS,
  readArray,
  readBoolean,
  readInteger,
  readString,
  type WireValue,
} from "../mesh/index.ts";
import { IPV4, IPV4_CIDR } from "./address.ts";
import type { Network } from "./model.ts";

/** What every peer knows of an endpoint; the row's key is the endpoint id. */
export interface EndpointRow {
  readonly network: string;
  readonly ip: string;
  readonly mac: string;
  readonly vtep: string;
}

/** A port that a container exposes. */
export interface ExposedPort {
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly port: number;
}

/**
 * The names of an address on a network. The row's key is the endpoint id, or a mark of its own for
 * a service outside of the mesh, which may be on every network: `*`.
 */
export interface NamesRow {
  readonly network: string;
  readonly ip: string;
  readonly names: readonly string[];
  readonly ports: readonly ExposedPort[];
  /** Its health check fails: others with the name are to be preferred. */
  readonly isUnhealthy: boolean;
}

/** A network as its creator published it; the row's key is the network's name. */
export type NetworkRow = Pick<Network, "vni" | "subnet" | "gateway" | "mtuBytes" | "internal">;

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$/;
const NAME_OR_ALL = /^(\*|[A-Za-z0-9][A-Za-z0-9_.-]{0,254})$/;
const PORT = /^([1-9][0-9]{0,4})\/(tcp|udp|sctp)$/;
const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;
/** Loose on purpose: an underlay address is only ever handed to `bridge fdb` as one argument. */
export const UNDERLAY = /^[0-9a-f:.]{2,45}$/;

export function endpointToWire(row: EndpointRow): WireValue {
  return [row.network, row.ip, row.mac, row.vtep];
}

/** @throws TsweaveError BAD_MESSAGE */
export function endpointFromWire(value: WireValue): EndpointRow {
  const [network, ip, mac, vtep] = readArray(value, "endpoint", 4, 16);
  return {
    network: readString(network, "endpoint.network", 255, NAME),
    ip: readString(ip, "endpoint.ip", 15, IPV4),
    mac: readString(mac, "endpoint.mac", 17, MAC),
    vtep: readString(vtep, "endpoint.vtep", 45, UNDERLAY),
  };
}

/** Ports and health are left out where there is nothing to tell. */
export function namesToWire(row: NamesRow): WireValue {
  const base = [row.network, row.ip, row.names.slice(0, LIMITS.namesPerEndpointMax)];
  const ports = row.ports.slice(0, LIMITS.portsPerEndpointMax);
  if (ports.length === 0 && !row.isUnhealthy) return base;
  return [...base, ports.map(({ port, protocol }) => `${port}/${protocol}`), row.isUnhealthy];
}

/** `80/tcp`, as the engine writes it; undefined for anything else, a range of ports included. */
export function parsePort(text: string): ExposedPort | undefined {
  const [, digits, protocol] = PORT.exec(text) ?? [];
  const port = Number(digits);
  if (port > 65_535) return undefined;
  if (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp") return undefined;
  return { protocol, port };
}

/** @throws TsweaveError BAD_MESSAGE */
export function namesFromWire(value: WireValue): NamesRow {
  const fields = readArray(value, "names", 3, 16);
  const [network, ip, names, ports = [], isUnhealthy = false] = fields;
  return {
    network: readString(network, "names.network", 255, NAME_OR_ALL),
    ip: readString(ip, "names.ip", 15, IPV4),
    names: readArray(names, "names.names", 0, LIMITS.namesPerEndpointMax).map((name) =>
      readString(name, "name", 255),
    ),
    ports: readArray(ports, "names.ports", 0, LIMITS.portsPerEndpointMax).flatMap(
      (port) => parsePort(readString(port, "port", 11, PORT)) ?? [],
    ),
    isUnhealthy: readBoolean(isUnhealthy, "names.unhealthy"),
  };
}

export function networkToWire(row: NetworkRow): WireValue {
  return [row.vni, row.subnet, row.gateway, row.mtuBytes, row.internal];
}

/** @throws TsweaveError BAD_MESSAGE */
export function networkFromWire(value: WireValue): NetworkRow {
  const [vni, subnet, gateway, mtuBytes, internal] = readArray(value, "network", 5, 16);
  return {
    vni: readInteger(vni, "network.vni", 1, 0xff_ffff),
    subnet: readString(subnet, "network.subnet", 18, IPV4_CIDR),
    gateway: readString(gateway, "network.gateway", 15, IPV4),
    mtuBytes: readInteger(mtuBytes, "network.mtu", 68, 65_535),
    internal: readBoolean(internal, "network.internal"),
  };
}
