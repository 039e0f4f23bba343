/**
 * What the mesh decides for a network by its name: VNI, MTU, and that a name has one subnet.
 *
 * Law: the same name gets the same VNI on every host without asking: what the tables already say
 * stands, else the name's hash.
 */
import { TsweaveError } from "../../mesh/index.ts";
import { chooseVni, DEFAULT_VNI, type NetworkPlan, overlayMtu } from "../../overlay/index.ts";
import type { SharedRows } from "./shared-rows.ts";

export interface PlanOptions {
  /** Name of the network that launch makes. */
  readonly defaultNetwork: string;
  /** MTU of the device that carries the VXLAN frames. */
  readonly underlayMtuBytes: number;
  /** Its IP version: the larger header of IPv6 leaves less. */
  readonly underlay: 4 | 6;
  /** Overlay MTU the operator fixed with --mtu. */
  readonly mtuBytes: number | undefined;
}

export function networkPlan(rows: () => SharedRows, options: PlanOptions): NetworkPlan {
  return {
    place: ({ name, subnet, underlayMtuBytes }) => {
      const known = rows().networkByName(name);
      if (known !== undefined && known.subnet !== subnet) {
        throw new TsweaveError(
          "POOL_CONFLICT",
          `network ${name} has subnet ${known.subnet} on other hosts, not ${subnet}`,
          { hint: `create it with --subnet ${known.subnet}, or choose another name` },
        );
      }
      const taken = new Set(
        rows()
          .networkList()
          .map(({ row }) => row.vni),
      );
      const isDefault = name === options.defaultNetwork;
      const vni = known?.vni ?? (isDefault ? DEFAULT_VNI : chooseVni(name, taken));
      const underlay = underlayMtuBytes > 0 ? underlayMtuBytes : options.underlayMtuBytes;
      const chosen = underlayMtuBytes > 0 ? undefined : options.mtuBytes;
      return { vni, mtuBytes: chosen ?? overlayMtu(underlay, options.underlay) };
    },
  };
}
