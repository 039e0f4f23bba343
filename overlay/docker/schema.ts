/**
 * The arguments of every plugin call, checked: github.com/moby/moby, libnetwork/docs/remote.md and
 * ipam.md, confirmed on engines 20.10.24 and 28.5.2.
 *
 * Law: a missing id is an error, never a default. After a broken connection the engine repeats a
 * call with an empty body, and acting on that would give addresses to nobody.
 */
import {
  engineId,
  type Fields,
  fieldsOf,
  flag,
  object,
  objects,
  refuse,
  text,
  textFields,
} from "./fields.ts";
import { type NetworkOptions, readNetworkOptions } from "./options.ts";

/** Type of the address that a network's gateway gets. */
export const GATEWAY_TYPE = "com.docker.network.gateway";

export interface IpamData {
  readonly addressSpace: string;
  readonly pool: string;
  /** CIDR, or empty. */
  readonly gateway: string;
  /** CIDR or plain. */
  readonly auxiliary: readonly string[];
}

export interface CreateNetwork extends NetworkOptions {
  readonly networkId: string;
  readonly ipv4: readonly IpamData[];
  readonly ipv6: readonly IpamData[];
}

export interface EndpointRef {
  readonly networkId: string;
  readonly endpointId: string;
}

export interface CreateEndpoint extends EndpointRef {
  /** CIDR. */
  readonly address: string;
  readonly addressIpv6: string;
  /** Empty where the driver is to choose. */
  readonly mac: string;
}

export interface Join extends EndpointRef {
  readonly sandboxKey: string;
}

export interface RequestPool {
  readonly addressSpace: string;
  readonly pool: string;
  readonly subPool: string;
  readonly ipv6: boolean;
  readonly options: ReadonlyMap<string, string>;
}

export interface RequestAddress {
  readonly poolId: string;
  readonly address: string;
  readonly type: string;
}

export interface ReleaseAddress {
  readonly poolId: string;
  readonly address: string;
}

export function readCreateNetwork(body: unknown): CreateNetwork {
  const fields = fieldsOf("CreateNetwork", body);
  return {
    networkId: engineId(fields, "NetworkID"),
    ...readNetworkOptions(object(fields, "Options")),
    ipv4: objects(fields, "IPv4Data").map(readIpamData),
    ipv6: objects(fields, "IPv6Data").map(readIpamData),
  };
}

function readIpamData(fields: Fields): IpamData {
  return {
    addressSpace: text(fields, "AddressSpace"),
    pool: text(fields, "Pool"),
    gateway: text(fields, "Gateway"),
    auxiliary: [...textFields(object(fields, "AuxAddresses")).values()],
  };
}

export function readNetworkRef(body: unknown): { readonly networkId: string } {
  return { networkId: engineId(fieldsOf("request", body), "NetworkID") };
}

export function readEndpointRef(body: unknown): EndpointRef {
  const fields = fieldsOf("request", body);
  return { networkId: engineId(fields, "NetworkID"), endpointId: engineId(fields, "EndpointID") };
}

export function readCreateEndpoint(body: unknown): CreateEndpoint {
  const asked = object(fieldsOf("CreateEndpoint", body), "Interface");
  return {
    ...readEndpointRef(body),
    address: required(asked, "Address"),
    addressIpv6: text(asked, "AddressIPv6"),
    mac: text(asked, "MacAddress"),
  };
}

export function readJoin(body: unknown): Join {
  return {
    ...readEndpointRef(body),
    sandboxKey: required(fieldsOf("Join", body), "SandboxKey"),
  };
}

export function readRequestPool(body: unknown): RequestPool {
  const fields = fieldsOf("RequestPool", body);
  return {
    addressSpace: required(fields, "AddressSpace"),
    pool: text(fields, "Pool"),
    subPool: text(fields, "SubPool"),
    ipv6: flag(fields, "V6"),
    options: textFields(object(fields, "Options")),
  };
}

export function readRequestAddress(body: unknown): RequestAddress {
  const fields = fieldsOf("RequestAddress", body);
  return {
    poolId: required(fields, "PoolID"),
    address: text(fields, "Address"),
    type: text(object(fields, "Options"), "RequestAddressType"),
  };
}

export function readReleaseAddress(body: unknown): ReleaseAddress {
  const fields = fieldsOf("ReleaseAddress", body);
  return { poolId: required(fields, "PoolID"), address: required(fields, "Address") };
}

export function readReleasePool(body: unknown): { readonly poolId: string } {
  return { poolId: required(fieldsOf("ReleasePool", body), "PoolID") };
}

function required(fields: Fields, name: string): string {
  const value = text(fields, name);
  return value === "" ? refuse(`${fields.path}.${name}`, "a value") : value;
}
