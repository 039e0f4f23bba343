/**
 * A charter as a row of the replicated tables and as a record on disk.
 *
 * Law: nothing on the wire is trusted: sizes and shapes are read before use. Fields are only
 * appended; readers ignore what follows those they know.
 */
import { parseCidr } from "../../ipalloc/index.ts";
import {
  LIMITS,
  readArray,
  readBoolean,
  readBytes,
  readInteger,
  readString,
  TsweaveError,
  type WireValue,
} from "../../mesh/index.ts";
import type { Charter, Founding, NetworkSpec } from "./charter.ts";

const ADDRESS_OR_NONE = /^[0-9a-f.:]{0,45}$/;
const TEXT_MAX = 1024;

export function charterToWire({ seen, live, gone }: Charter): WireValue {
  const order = [...seen].sort((a, b) => (a[0] < b[0] ? -1 : 1));
  return [
    order.map(([creator, stamp]) => [Buffer.from(creator, "hex"), stamp]),
    live.map(({ creator, stamp, spec }) => [Buffer.from(creator, "hex"), stamp, specToWire(spec)]),
    gone,
  ];
}

/** @throws TsweaveError BAD_MESSAGE */
export function charterFromWire(value: WireValue | undefined): Charter {
  const [seen, live, gone] = readArray(value, "charter", 3, 16);
  const pairs = list(seen, "charter.seen").map((item): [string, number] => {
    const [creator, stamp] = readArray(item, "charter.seen", 2, 8);
    return [peer(creator), readInteger(stamp, "charter.stamp", 1)];
  });
  return {
    seen: new Map(pairs),
    live: list(live, "charter.live").map(foundingFromWire),
    gone: list(gone, "charter.gone").map((one) => subnetOf(one, "charter.gone")),
  };
}

function foundingFromWire(value: WireValue): Founding {
  const [creator, stamp, spec] = readArray(value, "founding", 3, 8);
  return {
    creator: peer(creator),
    stamp: readInteger(stamp, "founding.stamp", 1),
    spec: specFromWire(spec),
  };
}

function specToWire(spec: NetworkSpec): WireValue {
  const { subnet, gateway, internal, underlayMtuBytes, ipRange, auxiliary, labels } = spec;
  return [subnet, gateway, internal, underlayMtuBytes, ipRange, auxiliary, labels];
}

function specFromWire(value: WireValue | undefined): NetworkSpec {
  const fields = readArray(value, "spec", 7, 16);
  const [subnet, gateway, internal, underlay, ipRange, auxiliary, labels] = fields;
  return {
    subnet: subnetOf(subnet, "spec.subnet"),
    gateway: readString(gateway, "spec.gateway", 45, ADDRESS_OR_NONE),
    internal: readBoolean(internal, "spec.internal"),
    underlayMtuBytes: readInteger(underlay, "spec.mtu", 0, 65_535),
    ipRange: ipRange === "" ? "" : subnetOf(ipRange, "spec.range"),
    auxiliary: list(auxiliary, "spec.auxiliary").map((one) =>
      readString(one, "spec.auxiliary", 45, ADDRESS_OR_NONE),
    ),
    labels: list(labels, "spec.labels").map((item): [string, string] => {
      const [name, text] = readArray(item, "spec.label", 2, 4);
      return [readString(name, "label.name", TEXT_MAX), readString(text, "label.text", TEXT_MAX)];
    }),
  };
}

/** A name as Docker allows it, short enough to be a row's key. */
export function isNetworkName(name: string): boolean {
  return name.length <= LIMITS.rowKeyLengthMax && /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name);
}

/** A subnet in its one text. */
function subnetOf(value: WireValue | undefined, path: string): string {
  const text = readString(value, path, 50);
  try {
    if (parseCidr(text).text === text) return text;
  } catch {
    // Refused below, as every other subnet that is not written as it should be.
  }
  throw new TsweaveError("BAD_MESSAGE", `${path}: expected a subnet`);
}

function list(value: WireValue | undefined, path: string): readonly WireValue[] {
  return readArray(value, path, 0, LIMITS.charterPartsMax);
}

function peer(value: WireValue | undefined): string {
  return Buffer.from(readBytes(value, "creator", 16, 16)).toString("hex");
}
