/**
 * What the mesh decides for a network: its VNI and MTU.
 *
 * Law: the same name and subnet get the same VNI on every host without asking: what the tables say
 * stands, clashes settled, else the hash of both. The default network has one subnet. No network
 * has a larger MTU than the least that a host of the mesh offers.
 */
import { TsweaveError } from "../../mesh/index.ts";
import {
  chooseVni,
  DEFAULT_NETWORK,
  DEFAULT_VNI,
  type NetworkPlan,
  networkLabel,
  overlayMtu,
  settleVnis,
} from "../../overlay/index.ts";
import type { SharedRows } from "./shared-rows.ts";

export interface PlanOptions {
  /** Name of the network that launch makes. */
  readonly defaultNetwork: string;
  /** The least overlay MTU that a host of the mesh offers. */
  readonly leastMtuBytes: () => number;
  /** IP version of the underlay: the larger header of IPv6 leaves less. */
  readonly underlay: 4 | 6;
}

export function networkPlan(rows: () => SharedRows, options: PlanOptions): NetworkPlan {
  const { defaultNetwork } = options;
  const label = (name: string, subnet: string): string =>
    name === defaultNetwork ? DEFAULT_NETWORK : networkLabel(name, subnet);
  const claims = settledClaims(rows, label);
  const vniOf = (name: string, subnet: string): number => {
    if (name === defaultNetwork) return DEFAULT_VNI;
    const { settled, taken } = claims();
    const wanted = label(name, subnet);
    return settled.get(wanted) ?? chooseVni(wanted, taken);
  };
  return {
    place: ({ name, subnet, underlayMtuBytes }) => {
      const known = name === defaultNetwork ? rows().networkByName(name) : undefined;
      if (known !== undefined && known.subnet !== subnet) {
        throw new TsweaveError(
          "POOL_CONFLICT",
          `network ${name} has subnet ${known.subnet} on other hosts, not ${subnet}`,
          { hint: `create it with --subnet ${known.subnet}, or choose another name` },
        );
      }
      const leastBytes = options.leastMtuBytes();
      const asked =
        underlayMtuBytes > 0 ? overlayMtu(underlayMtuBytes, options.underlay) : leastBytes;
      return { vni: vniOf(name, subnet), mtuBytes: Math.min(asked, leastBytes) };
    },
  };
}

/** The numbers that the tables say, clashes settled; worked out anew when a row has changed. */
function settledClaims(
  rows: () => SharedRows,
  label: (name: string, subnet: string) => string,
): () => { readonly settled: ReadonlyMap<string, number>; readonly taken: ReadonlySet<number> } {
  let known: ReturnType<ReturnType<typeof settledClaims>> | undefined;
  let following = false;
  return () => {
    if (!following) {
      following = true;
      rows().networks.onChange(() => {
        known = undefined;
      });
    }
    if (known !== undefined) return known;
    const claims = rows()
      .networkRows()
      .map(({ key, row }) => ({ name: label(key, row.subnet), vni: row.vni }));
    const settled = settleVnis(claims);
    const taken = new Set([...claims.map(({ vni }) => vni), ...settled.values()]);
    known = { settled, taken };
    return known;
  };
}
