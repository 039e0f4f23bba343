/**
 * From a query and what its asker may see to a reply, or the decision to let Docker answer.
 *
 * Law: our names and our addresses are answered here for every record type and never leave the
 * host; everything else is Docker's, untouched.
 */
import { LIMITS, type Random, TIMES } from "../mesh/index.ts";
import { CLASS, PLAIN_UDP_BYTES_MAX, parseQuery, type Query, RCODE, TYPE } from "./codec.ts";
import { reverseAddress } from "./ipv4.ts";
import { foldCase } from "./name.ts";
import { type Answer, encodeReply } from "./reply.ts";
import type { Zone } from "./zone.ts";

/** Who asks: the union over the endpoints of one sandbox. */
export interface Asker {
  readonly networks: ReadonlySet<string>;
  /** Folded `--link` aliases. */
  readonly links: ReadonlySet<string>;
}

export type Transport = "udp" | "tcp";

export type Outcome =
  | { readonly kind: "reply"; readonly bytes: Uint8Array }
  | { readonly kind: "rejected"; readonly bytes: Uint8Array }
  | { readonly kind: "forward"; readonly query: Query }
  | { readonly kind: "drop" };

const TCP_BYTES_MAX = 65_535;

/** Decides one message from a container. Never throws, whatever the bytes. */
export function answer(
  packet: Uint8Array,
  transport: Transport,
  asker: Asker,
  zone: Zone,
  random: Random,
): Outcome {
  const parsed = parseQuery(packet);
  if (parsed.kind === "dropped") return { kind: "drop" };
  if (parsed.kind === "rejected") return { kind: "rejected", bytes: parsed.reply };
  const { query } = parsed;
  const found = lookUp(query, asker, zone);
  if (found === undefined) return { kind: "forward", query };
  const reply = {
    rcode: found === "unknown" ? RCODE.nxDomain : RCODE.noError,
    answers: found === "unknown" ? [] : shuffled(found, random),
    ttlSeconds: TIMES.dnsTtlSeconds,
  };
  return { kind: "reply", bytes: encodeReply(query, reply, bytesMax(query, transport)) };
}

/** The answers to a name of ours, none of them for another type; undefined: not ours. */
function lookUp(query: Query, asker: Asker, zone: Zone): readonly Answer[] | "unknown" | undefined {
  if (query.class !== CLASS.in && query.class !== CLASS.any) return undefined;
  const address = reverseAddress(query.key);
  if (address !== undefined) {
    return zone.covers(address) ? reverse(query, address, asker, zone) : undefined;
  }
  if (isLink(query.key, asker)) return undefined;
  const addresses = zone.addresses(query.key, asker.networks);
  if (addresses === undefined) return undefined;
  if (query.type !== TYPE.a && query.type !== TYPE.any) return [];
  return addresses.map((address) => ({ type: "A", address }));
}

function reverse(query: Query, address: number, asker: Asker, zone: Zone): Answer[] | "unknown" {
  const targets = zone.pointers(address, asker.networks);
  if (targets.length === 0) return "unknown";
  if (query.type !== TYPE.ptr && query.type !== TYPE.any) return [];
  return targets.map((target) => ({ type: "PTR", target }));
}

/** Docker resolves a link as `alias` and as `alias.network`, ahead of any container's name. */
function isLink(key: string, asker: Asker): boolean {
  if (asker.links.size === 0) return false;
  if (asker.links.has(key)) return true;
  return [...asker.networks].some((network) => {
    const suffix = `.${foldCase(network)}`;
    return key.endsWith(suffix) && asker.links.has(key.slice(0, -suffix.length));
  });
}

function bytesMax(query: Query, transport: Transport): number {
  if (transport === "tcp") return TCP_BYTES_MAX;
  return Math.min(query.edns?.udpBytesMax ?? PLAIN_UDP_BYTES_MAX, LIMITS.dnsMessageBytesMax);
}

/** Fisher-Yates; a reply that holds only some of the answers so holds a fair sample. */
function shuffled<T>(items: readonly T[], random: Random): T[] {
  const result: T[] = [];
  for (const item of items) {
    const slot = random.u32() % (result.length + 1);
    result.push(item);
    const displaced = result[slot];
    if (displaced === undefined || slot === result.length - 1) continue;
    result[slot] = item;
    result[result.length - 1] = displaced;
  }
  return result;
}
