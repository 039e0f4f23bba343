/**
 * The bodies of control calls, read strictly.
 *
 * Law: a request is bounded before it is kept, and what is not exactly a request is refused.
 */
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { type HostPort, LIMITS, TsweaveError } from "../../mesh/index.ts";
import type { KeyChange, LeaveMesh, RemovePeers } from "./api.ts";
import { isRecord } from "./error-body.ts";

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
export function leaveOf(body: unknown): LeaveMesh {
  const { force = false, networks = false } = isRecord(body) ? body : {};
  if (typeof force !== "boolean" || typeof networks !== "boolean") {
    throw new TsweaveError("BAD_REQUEST", "force and networks are true or false");
  }
  return { force, networks };
}
