/**
 * The bodies of control calls, read strictly.
 *
 * Law: a request is bounded before it is kept, and what is not exactly a request is refused.
 */
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { type HostPort, LIMITS, TsweaveError } from "../../mesh/index.ts";
import type { AttachWish, ExposeWish } from "../../overlay/index.ts";
import { LOG_LEVELS } from "../launch-options.ts";
import type {
  AdoptionWish,
  DetachWish,
  KeyChange,
  LeaveMesh,
  LogChange,
  LookupQuestion,
  RemovePeers,
  ServiceChange,
} from "./api.ts";
import { isRecord } from "./error-body.ts";
import type { LookWish } from "./look-api.ts";
import { PROBE_TARGETS_MAX, type ProbeWish } from "./probe-api.ts";
import type { ReconcileWish } from "./reconcile-api.ts";

/** A host name or an address with its port. */
const WORD_LENGTH_MAX = 260;

/** A bounded JSON body; an empty one is an empty object. @throws TsweaveError BAD_REQUEST */
export async function readBody(request: IncomingMessage): Promise<unknown> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of request) {
    length += piece.length;
    if (length > LIMITS.requestBytesMax) {
      throw new TsweaveError("BAD_REQUEST", "the request is too long");
    }
    pieces.push(piece);
  }
  if (length === 0) return {};
  try {
    return JSON.parse(Buffer.concat(pieces).toString("utf8"));
  } catch (error) {
    throw new TsweaveError("BAD_REQUEST", "the request is not JSON", { cause: error });
  }
}

/** Addresses, literal ones. @throws TsweaveError BAD_REQUEST */
export function peersOf(body: unknown): HostPort[] {
  const list = isRecord(body) ? body.peers : undefined;
  if (!Array.isArray(list) || list.length === 0 || list.length > LIMITS.declaredMax) {
    throw new TsweaveError("BAD_REQUEST", `peers must be a list of 1 to ${LIMITS.declaredMax}`);
  }
  return list.map((peer: unknown) => {
    const { host, port } = isRecord(peer) ? peer : {};
    const isPort = typeof port === "number" && Number.isInteger(port) && port > 0 && port < 65_536;
    if (typeof host !== "string" || isIP(host) === 0 || !isPort) {
      throw new TsweaveError("BAD_REQUEST", "a peer must have an address as host and a port");
    }
    return { host, port };
  });
}

/** Errors name no value: one of them may be a key. @throws TsweaveError BAD_REQUEST */
export function keyChangeOf(body: unknown): KeyChange {
  const { action, key, id, force } = isRecord(body) ? body : {};
  if (action === "add" && typeof key === "string" && /^[0-9a-f]{64}$/.test(key)) {
    return { action, key };
  }
  const isId = typeof id === "string" && /^[0-9a-f]{1,8}$/.test(id);
  if (isId && action === "use") return { action, id };
  if (isId && action === "remove") return { action, id, force: force === true };
  throw new TsweaveError("BAD_REQUEST", "a change of the key ring needs an action and its key", {
    hint: "an ID has up to 8 hex digits, see 'tsweave keys list'",
  });
}

const ASSERTIONS = ["gone-for-good", "gone-for-good-with-majority"] as const;

/** @throws TsweaveError BAD_REQUEST */
export function removalOf(body: unknown): RemovePeers {
  const { peers, assertion: word } = isRecord(body) ? body : {};
  const assertion = ASSERTIONS.find((known) => known === word);
  const isWord = (peer: unknown): peer is string =>
    typeof peer === "string" && peer !== "" && peer.length <= WORD_LENGTH_MAX;
  const isList = Array.isArray(peers) && peers.length > 0 && peers.length <= LIMITS.wishesMax;
  if (assertion === undefined || !isList || !peers.every(isWord)) {
    throw new TsweaveError("BAD_REQUEST", "a removal needs peers and what is asserted of them");
  }
  return { peers, assertion };
}

/** @throws TsweaveError BAD_REQUEST */
export function adoptionOf(body: unknown): AdoptionWish {
  const { peer, isPlan } = isRecord(body) ? body : {};
  const isWord = typeof peer === "string" && peer !== "" && peer.length <= WORD_LENGTH_MAX;
  if (isWord && typeof isPlan === "boolean") return { peer, isPlan };
  throw new TsweaveError("BAD_REQUEST", "an adoption needs a peer, and whether it is only planned");
}

/** @throws TsweaveError BAD_REQUEST */
export function leaveOf(body: unknown): LeaveMesh {
  const { force = false, networks = false } = isRecord(body) ? body : {};
  if (typeof force !== "boolean" || typeof networks !== "boolean") {
    throw new TsweaveError("BAD_REQUEST", "force and networks are true or false");
  }
  return { force, networks };
}

/** @throws TsweaveError BAD_REQUEST */
export function serviceOf(body: unknown): ServiceChange {
  const { name, ips = [], network } = isRecord(body) ? body : {};
  const isList = Array.isArray(ips) && ips.length <= LIMITS.servicesMax && ips.every(isWord);
  if (!isWord(name) || !isList || (network !== undefined && !isWord(network))) {
    throw new TsweaveError("BAD_REQUEST", "a service has a name, addresses and maybe a network");
  }
  return { name, ips, network };
}

/** @throws TsweaveError BAD_REQUEST */
export function lookupOf(body: unknown): LookupQuestion {
  const { name, type, network } = isRecord(body) ? body : {};
  const isOptional = (word: unknown) => word === undefined || isWord(word);
  if (!isWord(name) || !isOptional(type) || !isOptional(network)) {
    throw new TsweaveError("BAD_REQUEST", "a lookup has a name and maybe a type and a network");
  }
  return { name, type: type as string | undefined, network: network as string | undefined };
}

/** Path of a namespace; everything else is shorter. */
const TARGET_LENGTH_MAX = 4096;

/** What each word means is the daemon's to say. @throws TsweaveError BAD_REQUEST */
export function attachOf(body: unknown): AttachWish {
  const { target, network, ip, device, mac, names = [], gateway, dns = true } = recordOf(body);
  const isList =
    Array.isArray(names) && names.length <= LIMITS.namesPerEndpointMax && names.every(isWord);
  const isWish =
    isTarget(target) &&
    [network, ip, device, mac].every((word) => word === undefined || isWord(word)) &&
    (gateway === undefined || typeof gateway === "boolean") &&
    typeof dns === "boolean";
  if (!isWish || !isList) {
    throw new TsweaveError("BAD_REQUEST", "an attachment has a target, and words for the rest");
  }
  const words = { network, ip, device, mac } as Record<string, string | undefined>;
  return { target, ...words, names, gateway: gateway as boolean | undefined, dns };
}

/** @throws TsweaveError BAD_REQUEST */
export function detachOf(body: unknown): DetachWish {
  const { target } = recordOf(body);
  if (isTarget(target)) return { target, network: exposeOf(body).network };
  throw new TsweaveError("BAD_REQUEST", "what is to be detached needs a target");
}

/** Also of `hide`. @throws TsweaveError BAD_REQUEST */
export function exposeOf(body: unknown): ExposeWish {
  const { network, ip } = recordOf(body);
  if ([network, ip].every((word) => word === undefined || isWord(word))) {
    return { network: network as string | undefined, ip: ip as string | undefined };
  }
  throw new TsweaveError("BAD_REQUEST", "network and ip are words");
}

/** @throws TsweaveError BAD_REQUEST */
export function reconcileOf(body: unknown): ReconcileWish {
  const { dryRun } = recordOf(body);
  if (typeof dryRun === "boolean") return { dryRun };
  throw new TsweaveError("BAD_REQUEST", "dryRun is true or false");
}

function recordOf(body: unknown): Readonly<Record<string, unknown>> {
  return isRecord(body) ? body : {};
}

function isTarget(text: unknown): text is string {
  return typeof text === "string" && text !== "" && text.length <= TARGET_LENGTH_MAX;
}

function isWord(text: unknown): text is string {
  return typeof text === "string" && text !== "" && text.length <= WORD_LENGTH_MAX;
}

/** @throws TsweaveError BAD_REQUEST */
export function logChangeOf(body: unknown): LogChange {
  const { level: word, part } = isRecord(body) ? body : {};
  const level = LOG_LEVELS.find((known) => known === word);
  const isPart = part === undefined || (typeof part === "string" && part.length <= 64);
  if (level === undefined || !isPart) {
    throw new TsweaveError("BAD_REQUEST", "a log level and the name of a part are needed");
  }
  return part === undefined ? { level } : { level, part };
}

/** @throws TsweaveError BAD_REQUEST */
export function lookOf(body: unknown): LookWish {
  const { peer, network, id } = recordOf(body);
  const isId = typeof id === "string" && /^[0-9a-f]{8,64}$/.test(id);
  if (isWord(peer) && isWord(network) && isId) return { peer, network, id };
  throw new TsweaveError("BAD_REQUEST", "a look needs a peer, a network and an endpoint's id");
}

/** @throws TsweaveError BAD_REQUEST */
export function probeOf(body: unknown): ProbeWish {
  const { from, to } = recordOf(body);
  const isId = (value: unknown): value is string =>
    typeof value === "string" && /^[0-9a-f]{32}$/.test(value);
  const isTargets = Array.isArray(to) && to.length > 0 && to.length <= PROBE_TARGETS_MAX;
  if (isId(from) && isTargets && to.every(isId)) return { from, to };
  const most = `at most ${PROBE_TARGETS_MAX}`;
  throw new TsweaveError("BAD_REQUEST", `a probe needs a peer's id and ${most} of others`);
}

/** A name, the beginning of an id, or an address; undefined: all peers. @throws BAD_REQUEST */
export function peerOf(body: unknown): string | undefined {
  const { peer } = isRecord(body) ? body : {};
  if (peer === undefined) return undefined;
  if (typeof peer === "string" && peer !== "" && peer.length <= WORD_LENGTH_MAX) return peer;
  throw new TsweaveError("BAD_REQUEST", "a peer is named by a word");
}
