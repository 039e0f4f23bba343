/**
 * From a query and what its asker may see to a reply, or the decision to let Docker answer.
 *
 * Law: our names and our addresses are answered here for every record type and never leave the
 * host; everything else is Docker's, untouched.
 */
import { LIMITS, type Random, TIMES } from "../mesh/index.ts";
import { CLASS, PLAIN_UDP_BYTES_MAX, parseQuery, type Query } from "./codec.ts";
import { type Asker, lookUp } from "./lookup.ts";
import { encodeReply } from "./reply.ts";
import type { Zone } from "./zone.ts";

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
  const isOurClass = query.class === CLASS.in || query.class === CLASS.any;
  const reply = isOurClass ? lookUp(query.key, query.type, asker, zone) : undefined;
  if (reply === undefined) return { kind: "forward", query };
  const mixed = { ...reply, answers: shuffled(reply.answers, random) };
  const terms = { ttlSeconds: TIMES.dnsTtlSeconds, apex: zone.apex };
  return { kind: "reply", bytes: encodeReply(query, mixed, bytesMax(query, transport), terms) };
}

/** The largest reply that the client takes. */
export function bytesMax(query: Query, transport: Transport): number {
  if (transport === "tcp") return TCP_BYTES_MAX;
  return Math.min(query.edns?.udpBytesMax ?? PLAIN_UDP_BYTES_MAX, LIMITS.dnsMessageBytesMax);
}

/**
 * Fisher-Yates; a reply that holds only some of the answers so holds a fair sample. Real randomness
 * costs a call into the kernel, so it is drawn once and stretched (mulberry32): nothing is at stake
 * but balance.
 */
function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  if (items.length < 2) return items;
  const result = [...items];
  let state = random.u32();
  for (let last = result.length - 1; last > 0; last -= 1) {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    const slot = ((mixed ^ (mixed >>> 14)) >>> 0) % (last + 1);
    const [one, other] = [result[last], result[slot]];
    if (one === undefined || other === undefined) continue;
    result[last] = other;
    result[slot] = one;
  }
  return result;
}
