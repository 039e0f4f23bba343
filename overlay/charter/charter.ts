/**
 * What the mesh has decided about one network name: where it was made and where it was removed.
 *
 * Laws: an observed-remove set, joined without anyone's clock: a removal takes away what its author
 * had seen and nothing else, so a network made on the other side of a cut survives it, and one that
 * a returning host still remembers does not come back. The join is commutative, associative and
 * idempotent, whatever was cut off by the bounds.
 */
import { LIMITS, type PeerId } from "../../mesh/index.ts";

/** What a network is made with, the same on every engine. */
export interface NetworkSpec {
  /** Canonical CIDR. */
  readonly subnet: string;
  /** `--gateway`, empty: the first address. */
  readonly gateway: string;
  readonly internal: boolean;
  /** Underlay size as `-o com.docker.network.driver.mtu` gives it, 0: that of each host. */
  readonly underlayMtuBytes: number;
  /** `--ip-range`, empty for none. */
  readonly ipRange: string;
  /** `--aux-address` values. */
  readonly auxiliary: readonly string[];
  /** Sorted by name: compose knows its networks by them. */
  readonly labels: readonly (readonly [string, string])[];
}

/** One making of a network. A creator's stamps rise. */
export interface Founding {
  readonly creator: PeerId;
  readonly stamp: number;
  readonly spec: NetworkSpec;
}

/** The knowledge of one name. */
export interface Charter {
  /** Newest stamp seen of each creator; a making below it that is not live was removed. */
  readonly seen: ReadonlyMap<PeerId, number>;
  /** Makings that stand, in the order of precedence. */
  readonly live: readonly Founding[];
  /** Subnets of networks that were removed: only such may be removed elsewhere. Sorted. */
  readonly gone: readonly string[];
}

export const NO_CHARTER: Charter = { seen: new Map(), live: [], gone: [] };

/** A network is made: a making newer than all that is known of any name (`after`). */
export function founded(
  charter: Charter,
  creator: PeerId,
  after: number,
  spec: NetworkSpec,
): Charter {
  const stamp = Math.max(after, ...charter.seen.values()) + 1;
  const seen = new Map(charter.seen).set(creator, stamp);
  const others = charter.live.filter((one) => one.creator !== creator);
  return bounded({ ...charter, seen, live: [...others, { creator, stamp, spec }] });
}

/** All known makings with a subnet are removed; others of the name stay. */
export function dissolved(charter: Charter, subnet: string): Charter {
  const live = charter.live.filter(({ spec }) => spec.subnet !== subnet);
  return bounded({ ...charter, live, gone: [...charter.gone, subnet] });
}

/** What is known by both together. */
export function joined(a: Charter, b: Charter): Charter {
  const seen = new Map(a.seen);
  for (const [creator, stamp] of b.seen) {
    seen.set(creator, Math.max(stamp, seen.get(creator) ?? 0));
  }
  const live = [
    ...a.live.filter((one) => isNews(one, b) || stands(one, b)),
    ...b.live.filter((one) => isNews(one, a) && !stands(one, a)),
  ];
  return bounded({ seen, live, gone: [...a.gone, ...b.gone] });
}

/** The newest stamp that a charter mentions. */
export function newestStamp({ seen }: Charter): number {
  return Math.max(0, ...seen.values());
}

/** Who made it first by peer id, then by stamp, counts where makings disagree. */
export function precedes(a: Founding, b: Founding): number {
  if (a.creator !== b.creator) return a.creator < b.creator ? -1 : 1;
  return a.stamp - b.stamp;
}

function isNews({ creator, stamp }: Founding, { seen }: Charter): boolean {
  return (seen.get(creator) ?? 0) < stamp;
}

function stands({ creator, stamp }: Founding, { live }: Charter): boolean {
  return live.some((one) => one.creator === creator && one.stamp === stamp);
}

/** The first of a total order of a union: such cuts keep a join a join. */
function bounded({ seen, live, gone }: Charter): Charter {
  const newest = [...seen].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  return {
    seen: new Map(newest.slice(0, LIMITS.charterPartsMax)),
    live: live.toSorted(precedes).slice(0, LIMITS.charterPartsMax),
    gone: [...new Set(gone)].sort().slice(0, LIMITS.charterPartsMax),
  };
}
