/**
 * The ledger's records as positional arrays: fields are only appended, readers ignore what follows
 * those they know, so that an older daemon reads a newer journal.
 */
import {
  LIMITS,
  readArray,
  readBoolean,
  readInteger,
  readString,
  type WireValue,
} from "../mesh/index.ts";
import type { HeldEndpoint, HeldNetwork } from "./ledger.ts";

const FIELDS_MAX = 64;
const TEXT_MAX = 4096;
const ID_MAX = 64;

/** What a record is about. @throws TsweaveError BAD_MESSAGE. */
export function readKind(value: WireValue): { kind: string; id: string; record: WireValue } {
  const [kind, id] = readArray(value, "record", 2, FIELDS_MAX);
  return {
    kind: readString(kind, "record.kind", 32),
    id: readString(id, "record.id", ID_MAX),
    record: value,
  };
}

/** `own-network`: kept for attachments, whatever the engine has. */
export function networkRecord(
  network: HeldNetwork,
  kind: "network" | "own-network" = "network",
): WireValue {
  return [
    kind,
    network.id,
    network.name,
    network.vni,
    network.subnet,
    network.gateway,
    network.mtuBytes,
    network.internal,
    network.ipRange,
    network.underlayMtuBytes,
    network.auxiliary,
  ];
}

/** @throws TsweaveError BAD_MESSAGE. */
export function networkFromRecord(value: WireValue): HeldNetwork {
  const [, id, name, vni, subnet, gateway, mtu, internal, ipRange, underlay, auxiliary] = readArray(
    value,
    "network",
    11,
    FIELDS_MAX,
  );
  return {
    id: readString(id, "network.id", ID_MAX),
    name: readString(name, "network.name", 255),
    vni: readInteger(vni, "network.vni", 0, 0xff_ffff),
    subnet: readString(subnet, "network.subnet", 64),
    gateway: readString(gateway, "network.gateway", 64),
    mtuBytes: readInteger(mtu, "network.mtu", 0, 65_535),
    internal: readBoolean(internal, "network.internal"),
    ipRange: readString(ipRange, "network.range", 64),
    underlayMtuBytes: readInteger(underlay, "network.underlay", 0, 65_535),
    auxiliary: readTexts(auxiliary, "network.auxiliary", LIMITS.leasesMax),
  };
}

export function endpointRecord(endpoint: HeldEndpoint): WireValue {
  return [
    "endpoint",
    endpoint.id,
    endpoint.networkId,
    endpoint.ip,
    endpoint.mac,
    endpoint.joined,
    endpoint.sandboxKey,
    endpoint.containerId,
    endpoint.names,
    endpoint.links,
    endpoint.ports ?? [],
    endpoint.isUnhealthy ?? false,
  ];
}

/** @throws TsweaveError BAD_MESSAGE. */
export function endpointFromRecord(value: WireValue): HeldEndpoint {
  const fields = readArray(value, "endpoint", 10, FIELDS_MAX);
  const [, id, networkId, ip, mac, joined, sandboxKey, containerId, names, links] = fields;
  const [ports = [], isUnhealthy = false] = fields.slice(10);
  return {
    id: readString(id, "endpoint.id", ID_MAX),
    networkId: readString(networkId, "endpoint.network", ID_MAX),
    ip: readString(ip, "endpoint.ip", 64),
    mac: readString(mac, "endpoint.mac", 17),
    joined: readBoolean(joined, "endpoint.joined"),
    sandboxKey: readString(sandboxKey, "endpoint.sandbox", TEXT_MAX),
    containerId: readString(containerId, "endpoint.container", 255),
    names: readTexts(names, "endpoint.names", LIMITS.namesPerEndpointMax),
    links: readTexts(links, "endpoint.links", LIMITS.linksPerEndpointMax),
    ports: readTexts(ports, "endpoint.ports", LIMITS.portsPerEndpointMax),
    isUnhealthy: readBoolean(isUnhealthy, "endpoint.unhealthy"),
  };
}

function readTexts(value: WireValue | undefined, path: string, most: number): string[] {
  return readArray(value, path, 0, most).map((item) => readString(item, path, 255));
}
