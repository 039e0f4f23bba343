/**
 * Which peers containers' packets go to without a tunnel, and why not to the others.
 *
 * Law: a tunnel is no fault: reasons are told, nothing here makes a host degraded.
 */
import type { PeerRow } from "../control/api.ts";
import { type Finding, findings } from "./finding.ts";
import type { Host } from "./host.ts";

/** Peers told one by one. */
const TOLD_MAX = 16;

export async function checkDirect({ daemon }: Pick<Host, "daemon">): Promise<Finding[]> {
  if (daemon === undefined) return [];
  const { peers } = await daemon.client.read("peers");
  return directFindings(peers);
}

/** One line a peer; none without --direct. Pure. */
export function directFindings(peers: readonly PeerRow[]): Finding[] {
  const { ok } = findings("direct");
  const tried = peers.filter(({ path }) => path !== null && path.networks.length > 0);
  const found = tried.slice(0, TOLD_MAX).map(({ name, path }) => {
    const networks = path?.networks ?? [];
    const direct = networks.filter((one) => one.direct).map(({ network }) => network);
    const why = networks.filter((one) => !one.direct).map(({ network, why }) => ({ network, why }));
    const reasons = [...new Set(why.map(({ network, why: text }) => `${network}: ${text}`))];
    const parts = [
      ...(direct.length === 0 ? [] : [`without a tunnel on ${direct.join(", ")}`]),
      ...(reasons.length === 0 ? [] : [`through the tunnel on ${reasons.slice(0, 3).join("; ")}`]),
    ];
    return ok(`to ${name} ${parts.join("; ")}${hint(networks)}`);
  });
  const rest = tried.length - found.length;
  return rest > 0 ? [...found, ok(`${rest} more peers: tsweave status peers`)] : found;
}

/** What helps where probes stay without an answer. */
function hint(networks: NonNullable<PeerRow["path"]>["networks"]): string {
  const isSilent = networks.some(({ why }) => why?.startsWith("probes") === true);
  return isSilent ? " (is it launched with --direct? does the segment drop such addresses?)" : "";
}
