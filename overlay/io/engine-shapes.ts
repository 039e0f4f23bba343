/**
 * The engine's JSON as the ports' records. The engine is trusted to mean well, not to be a version
 * that was tested: what is missing reads as empty, what has another type is refused with its path.
 */
import type { EngineContainer, EngineEvent } from "../../mesh/index.ts";
import {
  type Fields,
  fieldsOf,
  flag,
  object,
  objects,
  text,
  textFields,
  texts,
} from "../docker/fields.ts";
import type { DockerNetwork } from "../docker/ports.ts";

/** An item of `GET /networks`, or `GET /networks/{id}`. */
export function readNetwork(value: unknown): DockerNetwork {
  const fields = fieldsOf("network", value);
  const ipam = object(fields, "IPAM");
  const configs = objects(ipam, "Config");
  return {
    id: text(fields, "Id"),
    name: text(fields, "Name"),
    driver: text(fields, "Driver"),
    ipamDriver: text(ipam, "Driver"),
    internal: flag(fields, "Internal"),
    subnets: configs.map((config) => text(config, "Subnet")),
    options: Object.fromEntries(textFields(object(fields, "Options"))),
    labels: Object.fromEntries(textFields(object(fields, "Labels"))),
    ipRange: firstOf(configs, "IPRange"),
    gateway: firstOf(configs, "Gateway").split("/")[0] ?? "",
    auxiliary: configs.flatMap((config) => [
      ...textFields(object(config, "AuxiliaryAddresses")).values(),
    ]),
    endpoints: readEndpoints(object(fields, "Containers")),
  };
}

/** A field of the first configuration that has it. */
function firstOf(configs: readonly Fields[], name: string): string {
  return configs.map((config) => text(config, name)).find((found) => found !== "") ?? "";
}

function readEndpoints(containers: Fields): DockerNetwork["endpoints"] {
  return Object.keys(containers.values).map((containerKey) => {
    const endpoint = object(containers, containerKey);
    return {
      containerKey,
      endpointId: text(endpoint, "EndpointID"),
      containerName: text(endpoint, "Name"),
      ip: text(endpoint, "IPv4Address").split("/")[0] ?? "",
      mac: text(endpoint, "MacAddress").toLowerCase(),
    };
  });
}

/** `GET /containers/{id}/json`. */
export function readContainer(value: unknown): EngineContainer {
  const fields = fieldsOf("container", value);
  const settings = object(fields, "NetworkSettings");
  const attached = object(settings, "Networks");
  return {
    id: text(fields, "Id"),
    name: text(fields, "Name").replace(/^\//, ""),
    running: flag(object(fields, "State"), "Running"),
    hostname: text(object(fields, "Config"), "Hostname"),
    sandboxKey: text(settings, "SandboxKey"),
    ports: Object.keys(object(object(fields, "Config"), "ExposedPorts").values),
    isUnhealthy: text(object(object(fields, "State"), "Health"), "Status") === "unhealthy",
    networks: Object.keys(attached.values).map((networkName) => {
      const one = object(attached, networkName);
      return {
        networkId: text(one, "NetworkID"),
        networkName,
        endpointId: text(one, "EndpointID"),
        names: [...new Set([...texts(one, "Aliases"), ...texts(one, "DNSNames")])],
        links: texts(one, "Links").map(linkAlias),
      };
    }),
  };
}

/** The alias of `container:alias` or of a bare container name. */
function linkAlias(link: string): string {
  return link.slice(link.lastIndexOf(":") + 1).replace(/^.*\//, "");
}

/** Ids of `GET /containers/json`. */
export function readIds(value: unknown): string[] {
  return Array.isArray(value)
    ? value.map((item: unknown) => text(fieldsOf("container", item), "Id"))
    : [];
}

/** One line of `GET /events`; undefined for types nobody asked for. */
export function readEvent(value: unknown): EngineEvent | undefined {
  const fields = fieldsOf("event", value);
  const type = text(fields, "Type");
  if (type !== "container" && type !== "network") return undefined;
  const actor = object(fields, "Actor");
  return {
    type,
    action: text(fields, "Action"),
    id: text(actor, "ID"),
    attributes: Object.fromEntries(textFields(object(actor, "Attributes"))),
  };
}
