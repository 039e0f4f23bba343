/** Part of the control API: a look at an endpoint by the host that has it. */

/** An endpoint as its own host has it in the kernel. */
export interface FarLook {
  /** down: the veth pair is there, its end in the container is not up. */
  readonly port: "plugged" | "down" | "missing";
  /** vxlan0 of its network there. */
  readonly vxlan: "up" | "down" | "missing";
  readonly vni: number | null;
  readonly vxlanPort: number | null;
  /** Packets that went to the container, and that came from it, since the pair was made. */
  readonly toPackets: number;
  readonly fromPackets: number;
}

/** `peer`: id of another peer. */
export interface LookWish {
  readonly peer: string;
  readonly network: string;
  /** The endpoint's. */
  readonly id: string;
}
