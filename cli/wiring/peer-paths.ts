/** How containers' packets go to each peer: through tunnels, directly, or both; and why. */
import type { Clock, Member } from "../../mesh/index.ts";
import type { DirectPaths } from "../../overlay/index.ts";
import type { PeerPath } from "../control/path-api.ts";

/** Networks told for one peer; a host has more only by a mistake. */
const TOLD_MAX = 64;

/** The path of each member; null of this host itself. `direct` is undefined without --direct. */
export function peerPaths(
  direct: Pick<DirectPaths, "paths"> | undefined,
  clock: Pick<Clock, "nowMs">,
): (member: Member) => PeerPath | null {
  const all = direct?.paths() ?? [];
  return ({ id, self }) => {
    if (self) return null;
    const own = all.filter(({ peer }) => peer === id).slice(0, TOLD_MAX);
    const networks = own.map(({ network, isDirect, sinceMs, why }) => ({
      ...{ network, direct: isDirect, why },
      sinceSeconds: sinceMs === null ? null : Math.floor((clock.nowMs() - sinceMs) / 1000),
    }));
    // A network without containers at both ends goes no way at all.
    const used = networks.filter((one) => one.direct || one.sinceSeconds !== null);
    const some = used.some((one) => one.direct);
    const every = some && used.every((one) => one.direct);
    return { kind: every ? "direct" : some ? "mixed" : "vxlan", networks };
  };
}
