/**
 * VXLAN network identifiers without a manager.
 *
 * Laws: the default network has 256; every other name hashes into the upper half of the 24-bit
 * space, away from Swarm, which counts up from 4096; a clash is settled the same way on every
 * host from the same claims, and settling moves as few networks as possible.
 */
import { createHash } from "node:crypto";

export const DEFAULT_NETWORK = "tsweave";
export const DEFAULT_VNI = 256;
const UPPER_HALF = 0x800000;

/** A network's name and the VNI its record carries. */
export interface VniClaim {
  readonly name: string;
  readonly vni: number;
}

/** The VNI for a new network: its hash, or the next free one after it. */
export function chooseVni(name: string, taken: ReadonlySet<number>): number {
  if (name === DEFAULT_NETWORK) return DEFAULT_VNI;
  const start = createHash("sha256").update(name).digest().readUIntBE(0, 3) & (UPPER_HALF - 1);
  for (let offset = 0; offset < UPPER_HALF; offset++) {
    const vni = UPPER_HALF + ((start + offset) % UPPER_HALF);
    if (!taken.has(vni)) return vni;
  }
  throw new RangeError("all VNIs are taken");
}

/**
 * What a network's VNI is chosen by. Two networks of one name and different subnets, made on both
 * sides of a cut, never share a number, so that neither disturbs the other when they meet.
 */
export function networkLabel(name: string, subnet: string): string {
  return `${name} ${subnet}`;
}

/**
 * The VNI of each name when claims collide (two networks made on both sides of a cut): of those
 * that claim one number the first by name keeps it (the default network before all). Of several
 * claims of one name the lowest that is not another's counts; who has none left chooses anew, away
 * from what others claim. Who has moved claims its new number beside the old one of those that
 * have not yet, and so all come to the same.
 */
export function settleVnis(claims: readonly VniClaim[]): Map<string, number> {
  const settled = new Map<string, number>();
  const owners = new Map<number, string>();
  const ordered = claims.toSorted((a, b) => order(a, b) || a.vni - b.vni);
  for (const { name, vni } of ordered) {
    if (settled.has(name) || owners.has(vni)) continue;
    owners.set(vni, name);
    settled.set(name, vni);
  }
  for (const { name } of ordered) {
    if (settled.has(name)) continue;
    const others = claims.filter((claim) => claim.name !== name).map(({ vni }) => vni);
    const vni = chooseVni(name, new Set([...others, ...settled.values()]));
    settled.set(name, vni);
  }
  return settled;
}

function order(a: VniClaim, b: VniClaim): number {
  if (a.name === b.name) return 0;
  if (a.name === DEFAULT_NETWORK || b.name === DEFAULT_NETWORK) {
    return a.name === DEFAULT_NETWORK ? -1 : 1;
  }
  return a.name < b.name ? -1 : 1;
}
