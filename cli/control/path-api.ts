/** How containers' packets go from this host to another; see overlay/direct. */

export interface PeerPath {
  /** vxlan: through tunnels; direct: without; mixed: differs by network. */
  readonly kind: "vxlan" | "direct" | "mixed";
  /** Empty without --direct. */
  readonly networks: readonly {
    readonly network: string;
    readonly direct: boolean;
    /** Since the last change; null where it was not tried. */
    readonly sinceSeconds: number | null;
    /** Why not directly; null where it is. */
    readonly why: string | null;
  }[];
}
