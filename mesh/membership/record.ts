/**
 * What peers tell one another of a peer: who it is, which life of it, and how it fares.
 *
 * Law: a record that does not fit this shape exactly never reaches the engine. Records are
 * ordered first by life (era, incarnation, then the random boot number), so a fast restart
 * replaces the old life at once and a cloned disk's two lives have one winner everywhere. A peer
 * that finds a later life of itself dead takes its id back with a new era.
 */
import { messageOf, TsweaveError } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import type { PeerId, WireValue } from "../ports.ts";
import { readArray, readBytes, readInteger, readString } from "../wire/read.ts";
import { hostsOf, readAddress, readHost } from "./address.ts";
import type { MemberState, PeerMeta } from "./membership.ts";

/** One process of a peer: restarts raise the incarnation, clones differ in the boot number. */
export interface Life {
  /** 0, unless the peer had to take its id back from a later life that is gone. */
  readonly era: number;
  readonly incarnation: number;
  /** Random, unsigned 32-bit. */
  readonly boot: number;
}

export interface PeerRecord {
  readonly meta: PeerMeta;
  readonly era: number;
  readonly boot: number;
  readonly state: MemberState;
  /** Raised by the peer itself, within one life, to refute a suspicion. SWIM's incarnation. */
  readonly refutation: number;
}

const STATES: readonly MemberState[] = ["alive", "suspect", "dead", "left"];
export const ERA_MAX = 2 ** 20;
/** Far from 2^53, where adding one no longer changes a number. */
const REFUTATION_MAX = 2 ** 40;
const NAME = /^[\p{L}\p{N}\p{P}\p{S} ]{1,63}$/u;

export function lifeOf(record: PeerRecord): Life {
  return { era: record.era, incarnation: record.meta.incarnation, boot: record.boot };
}

/** Negative when `a` is the older life of the same peer, 0 when they are one. */
export function compareLives(a: Life, b: Life): number {
  return a.era - b.era || a.incarnation - b.incarnation || a.boot - b.boot;
}

/**
 * The positional form: id, incarnation, boot, name, host, port, state, refutation, era; then, where
 * there are several addresses, the hosts after the first.
 */
export function wireRecord(record: PeerRecord): WireValue {
  const { id, incarnation, name, advertise } = record.meta;
  const [first = advertise.host, ...others] = hostsOf(record.meta);
  return [
    wireId(id),
    incarnation,
    record.boot,
    name,
    first,
    advertise.port,
    STATES.indexOf(record.state),
    record.refutation,
    record.era,
    ...(others.length === 0 ? [] : [others]),
  ];
}

/** @throws TsweaveError BAD_MESSAGE */
export function readRecord(value: WireValue | undefined, path: string): PeerRecord {
  const fields = readArray(value, path, 9, 32);
  const state = STATES[readInteger(fields[6], `${path}.state`, 0, STATES.length - 1)];
  if (state === undefined) throw new TsweaveError("BAD_MESSAGE", `${path}.state: unknown`);
  const advertise = readAddress(fields[4], fields[5], `${path}.advertise`);
  const hosts = fields.length < 10 ? undefined : readHosts(advertise.host, fields[9], path);
  return {
    meta: {
      id: readId(fields[0], `${path}.id`),
      incarnation: readInteger(fields[1], `${path}.incarnation`),
      name: readString(fields[3], `${path}.name`, 63, NAME),
      advertise,
      ...(hosts === undefined ? {} : { hosts }),
    },
    era: readInteger(fields[8], `${path}.era`, 0, ERA_MAX),
    boot: readInteger(fields[2], `${path}.boot`, 0, 0xffff_ffff),
    state,
    refutation: readInteger(fields[7], `${path}.refutation`, 0, REFUTATION_MAX),
  };
}

/** All hosts of a peer, each once. @throws TsweaveError BAD_MESSAGE */
function readHosts(first: string, others: WireValue | undefined, path: string): string[] {
  const items = readArray(others, `${path}.hosts`, 0, LIMITS.addressesPerPeerMax - 1);
  const read = items.map((item) => readHost(item, `${path}.hosts`));
  return [...new Set([first, ...read])];
}

/**
 * This peer's own record, refused where others would refuse it.
 * @throws TsweaveError CONFIG
 */
export function ownRecord(meta: PeerMeta, { era, boot }: Life): PeerRecord {
  try {
    return readRecord(wireRecord({ meta, era, boot, state: "alive", refutation: 0 }), "self");
  } catch (error) {
    throw new TsweaveError("CONFIG", `this peer cannot be announced: ${messageOf(error)}`, {
      hint: "see --name and --advertise",
      cause: error,
    });
  }
}

/** A peer id as 16 bytes. */
export function wireId(id: PeerId): Uint8Array {
  return Buffer.from(id, "hex");
}

/** @throws TsweaveError BAD_MESSAGE */
export function readId(value: WireValue | undefined, path: string): PeerId {
  return Buffer.from(readBytes(value, path, 16, 16)).toString("hex");
}
