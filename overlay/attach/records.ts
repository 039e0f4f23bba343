/**
 * Attachments as records of the ledger: positional arrays, fields are only appended, readers ignore
 * what follows those they know.
 */
import {
  LIMITS,
  readArray,
  readBoolean,
  readInteger,
  readString,
  TsweaveError,
  type WireValue,
} from "../../mesh/index.ts";
import type { Attachment, ResolverKind, Target, TargetKind } from "./model.ts";

const FIELDS_MAX = 64;
const TEXT_MAX = 4096;
const KINDS: readonly TargetKind[] = ["container", "netns", "process", "host"];
const RESOLVERS: readonly ResolverKind[] = ["none", "docker", "own"];

export function attachmentRecord(attachment: Attachment): WireValue {
  const { target } = attachment;
  return [
    "attachment",
    attachment.id,
    attachment.network,
    attachment.ip,
    attachment.mac,
    attachment.device,
    attachment.names,
    [
      target.kind,
      target.label,
      target.path,
      target.inode,
      target.cookie,
      target.bootId,
      target.containerId,
    ],
    attachment.resolver,
    attachment.gatewayCidr,
    attachment.gatewayDevice,
    attachment.joined,
  ];
}

/** @throws TsweaveError BAD_MESSAGE. */
export function attachmentFromRecord(value: WireValue): Attachment {
  const [, id, network, ip, mac, device, names, target, resolver, cidr, gateway, joined] =
    readArray(value, "attachment", 12, FIELDS_MAX);
  return {
    id: readString(id, "attachment.id", 64, /^[0-9a-f]{64}$/),
    network: readString(network, "attachment.network", 255),
    ip: readString(ip, "attachment.ip", 64),
    mac: readString(mac, "attachment.mac", 17),
    device: readString(device, "attachment.device", 15),
    names: readArray(names, "attachment.names", 0, LIMITS.namesPerEndpointMax).map((name) =>
      readString(name, "attachment.name", 255),
    ),
    target: readTarget(target),
    resolver: readOneOf(resolver, "attachment.resolver", RESOLVERS),
    gatewayCidr: readString(cidr, "attachment.gateway", 64),
    gatewayDevice: readString(gateway, "attachment.gatewayDevice", 15),
    joined: readBoolean(joined, "attachment.joined"),
  };
}

function readTarget(value: WireValue | undefined): Target {
  const [kind, label, path, inode, cookie, bootId, containerId] = readArray(
    value,
    "attachment.target",
    7,
    FIELDS_MAX,
  );
  return {
    kind: readOneOf(kind, "target.kind", KINDS),
    label: readString(label, "target.label", TEXT_MAX),
    path: readString(path, "target.path", TEXT_MAX),
    inode: readInteger(inode, "target.inode", 0, Number.MAX_SAFE_INTEGER),
    cookie: readString(cookie, "target.cookie", 20),
    bootId: readString(bootId, "target.boot", 64),
    containerId: readString(containerId, "target.container", 255),
  };
}

function readOneOf<T extends string>(
  value: WireValue | undefined,
  path: string,
  words: readonly T[],
): T {
  const text = readString(value, path, 32);
  const found = words.find((word) => word === text);
  if (found === undefined) throw new TsweaveError("BAD_MESSAGE", `${path}: unknown '${text}'`);
  return found;
}
