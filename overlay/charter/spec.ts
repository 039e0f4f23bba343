/**
 * A network as an engine lists it ↔ what the mesh makes it with everywhere.
 *
 * Law: what cannot be told to the others is not shared at all; half a network would give out
 * addresses that its maker reserved.
 */
import { parseCidr } from "../../ipalloc/index.ts";
import { LIMITS, TsweaveError } from "../../mesh/index.ts";
import { MTU_OPTION, readMtu } from "../docker/options.ts";
import type { DockerNetwork } from "../docker/ports.ts";
import type { Charter, NetworkSpec } from "./charter.ts";
import { isNetworkName } from "./charter-wire.ts";

/** The spec of a listed network of ours. @throws TsweaveError CONFIG when it cannot be shared. */
export function specOf(network: DockerNetwork): NetworkSpec {
  const { gateway, internal, options, auxiliary } = network;
  if (!isNetworkName(network.name) || auxiliary.length > LIMITS.charterPartsMax) {
    throw new TsweaveError("CONFIG", `network ${network.name.slice(0, 80)} stays on this host`, {
      hint: `use a name of at most ${LIMITS.rowKeyLengthMax} characters and at most \
${LIMITS.charterPartsMax} --aux-address`,
    });
  }
  return {
    subnet: subnetOf(network),
    gateway,
    internal,
    underlayMtuBytes: readMtu(options[MTU_OPTION] ?? ""),
    ipRange: network.ipRange === "" ? "" : parseCidr(network.ipRange).text,
    auxiliary: auxiliary.toSorted(),
    labels: labelsOf(network.labels),
  };
}

/** The canonical subnet of a listed network, empty where it has none. */
export function subnetOf({ subnets: [subnet] }: Pick<DockerNetwork, "subnets">): string {
  return subnet === undefined ? "" : parseCidr(subnet).text;
}

/** What the engine is asked to make. */
export function requestOf(name: string, driver: string, spec: NetworkSpec) {
  const { subnet, gateway, internal, underlayMtuBytes, ipRange, auxiliary, labels } = spec;
  const options: Record<string, string> =
    underlayMtuBytes === 0 ? {} : { [MTU_OPTION]: String(underlayMtuBytes) };
  const labelled = Object.fromEntries(labels);
  return { name, driver, subnet, internal, options, gateway, ipRange, auxiliary, labels: labelled };
}

/** The spec that counts for a name; undefined when the mesh has no such network. */
export function wantedOf(charter: Charter | undefined): NetworkSpec | undefined {
  return charter?.live[0]?.spec;
}

/** Subnets under which the name was also made, but which do not count. */
export function losersOf(charter: Charter | undefined): string[] {
  const wanted = wantedOf(charter)?.subnet;
  const subnets = charter?.live.map(({ spec }) => spec.subnet) ?? [];
  return [...new Set(subnets)].filter((subnet) => subnet !== wanted);
}

/** Options in which a network on the engine is not as the mesh has it; they cannot be changed. */
export function differences(here: NetworkSpec, wanted: NetworkSpec): string[] {
  const found: string[] = [];
  if (here.internal !== wanted.internal) found.push("--internal");
  if (here.underlayMtuBytes !== wanted.underlayMtuBytes) found.push("the MTU");
  if (here.ipRange !== wanted.ipRange) found.push("--ip-range");
  if (wanted.gateway !== "" && here.gateway !== wanted.gateway) found.push("--gateway");
  const auxiliary = wanted.auxiliary.filter((ip) => !here.auxiliary.includes(ip));
  if (auxiliary.length > 0) found.push("--aux-address");
  return found;
}

function labelsOf(labels: Readonly<Record<string, string>>): [string, string][] {
  const list = Object.entries(labels).sort((a, b) => (a[0] < b[0] ? -1 : 1));
  const bytes = list.reduce((sum, [name, text]) => sum + Buffer.byteLength(name + text), 0);
  const fits = list.length <= LIMITS.charterPartsMax && bytes <= LIMITS.networkLabelBytesMax;
  return fits && list.every((pair) => pair.every((one) => one.length <= 1024)) ? list : [];
}
