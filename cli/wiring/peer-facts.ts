/**
 * What peers tell one another when a person asks: version, ports, MTU and clock.
 *
 * Law: a question is bounded in time and size, and whoever does not answer is named with the
 * reason; nothing here decides anything.
 */
import { hrtime } from "node:process";
import {
  type Cancel,
  type Clock,
  type Member,
  messageOf,
  type PeerId,
  type Rpc,
  readArray,
  readInteger,
  readString,
  type WireValue,
} from "../../mesh/index.ts";
import { subnetOverlaps } from "../../overlay/index.ts";
import type { PeerAnswer } from "../control/api.ts";
import { VERSION } from "../version.ts";

const SERVICE = "host";
const DEADLINE_MS = 2000;
/** Largest number that a peer may name: a date in milliseconds for the next centuries. */
const NUMBER_MAX = 2 ** 48;
/** A question for the host's routes, too; who does not know it answers without. */
const WITH_OVERLAPS = "overlaps";
const SUBNETS_MAX = 16;
const TEXT_MAX = 300;

export interface PeerFactsPorts {
  readonly rpc: Rpc;
  readonly clock: Clock;
  readonly members: () => readonly Member[];
}

/** Facts that this host answers with. */
export interface OwnFacts {
  readonly vxlanPort: number;
  readonly underlayMtuBytes: number;
  /** Of all networks. */
  readonly subnets: readonly string[];
}

/** Answers the questions of others. */
export function servePeerFacts({ rpc, clock }: PeerFactsPorts, own: () => OwnFacts): Cancel {
  const answer = async (body: WireValue): Promise<WireValue> => {
    const { vxlanPort, underlayMtuBytes, subnets } = own();
    const facts = [VERSION, vxlanPort, underlayMtuBytes, Math.round(clock.wallMs())];
    return body === WITH_OVERLAPS ? [...facts, await overlapsOf(subnets)] : facts;
  };
  return rpc.serve(SERVICE, (_, body) => answer(body));
}

async function overlapsOf(subnets: readonly string[]): Promise<string[]> {
  const asked = [...new Set(subnets)].slice(0, SUBNETS_MAX);
  const found = await Promise.all(asked.map((subnet) => subnetOverlaps(subnet)));
  return found.flatMap((errors) => errors.map(({ message }) => message.slice(0, TEXT_MAX)));
}

/**
 * Asks one peer, over the stream port; with `overlaps` it looks at its routes, which takes longer
 * than the round trip. Never rejects.
 */
export async function askPeer(
  ports: PeerFactsPorts,
  peer: PeerId,
  overlaps = false,
): Promise<PeerAnswer> {
  const { rpc, clock, members } = ports;
  const member = members().find(({ id }) => id === peer);
  const named = { id: peer, peer: member?.name ?? peer.slice(0, 8) };
  const started = hrtime.bigint();
  try {
    const body = overlaps ? WITH_OVERLAPS : null;
    const answer = readArray(await rpc.call(peer, SERVICE, body, DEADLINE_MS), "host", 4, 16);
    const tookMs = Number(hrtime.bigint() - started) / 1e6;
    // The answer was written, in the mean, half a round trip ago.
    const wallMs = readInteger(answer[3], "host.wallMs", 0, NUMBER_MAX);
    return {
      ...named,
      tookMs,
      version: readString(answer[0], "host.version", 32),
      vxlanPort: readInteger(answer[1], "host.vxlanPort", 1, 65_535),
      underlayMtuBytes: readInteger(answer[2], "host.mtu", 0, 1_000_000),
      clockAheadMs: Math.round(wallMs + tookMs / 2 - clock.wallMs()),
      overlaps: answer[4] === undefined ? null : readOverlaps(answer[4]),
      error: null,
    };
  } catch (error) {
    return {
      ...named,
      tookMs: null,
      version: null,
      vxlanPort: null,
      underlayMtuBytes: null,
      clockAheadMs: null,
      overlaps: null,
      error: messageOf(error),
    };
  }
}

function readOverlaps(value: WireValue): string[] {
  const texts = readArray(value, "host.overlaps", 0, 1024).slice(0, SUBNETS_MAX);
  return texts.map((text) => readString(text, "host.overlaps", TEXT_MAX));
}

/** The members that a word names: all live ones, a name, the beginning of an id, or an address. */
export function membersNamed(members: readonly Member[], word: string | undefined): Member[] {
  const others = members.filter(({ self }) => !self);
  if (word === undefined) return others.filter(({ state }) => state !== "left").slice(0, 256);
  return others.filter(({ id, name, advertise, hosts = [] }) => {
    const isId = word.length >= 4 && id.startsWith(word);
    return name === word || isId || advertise.host === word || hosts.includes(word);
  });
}
