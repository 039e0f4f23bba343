/**
 * Networks of one name on one engine: which of them counts. Pure.
 *
 * Docker looks for the name before it calls the plugin and not after, so that a user's creation
 * which waited for this daemon and one that the mesh asked for meanwhile both succeed; no container
 * can then be started by that name.
 *
 * Law: one that this daemon asked for goes, if nothing uses it and the other is the same network;
 * everything else is said, and left as it is.
 */
import type { DockerNetwork } from "../docker/ports.ts";
import type { Situation } from "./decide.ts";
import { subnetOf } from "./spec.ts";

export interface NamedNetworks {
  /** The one that counts, of each name. */
  readonly byName: ReadonlyMap<string, DockerNetwork>;
  /** Its twins. */
  readonly spare: readonly {
    readonly network: DockerNetwork;
    readonly kept: DockerNetwork;
    /** It can go without anybody's word. */
    readonly isFree: boolean;
  }[];
}

/** A used one before an unused, a user's before the mesh's, then by id. */
export function namedNetworks(situation: Situation): NamedNetworks {
  const { listed, isOwn, usersOf } = situation;
  const used = (one: DockerNetwork): number => (usersOf(one.id).length > 0 ? 0 : 1);
  const own = (one: DockerNetwork): number => (isOwn(one) ? 1 : 0);
  const byName = new Map<string, DockerNetwork>();
  for (const network of listed) {
    const other = byName.get(network.name);
    if (other === undefined) {
      byName.set(network.name, network);
      continue;
    }
    const order = used(network) - used(other) || own(network) - own(other);
    const isFirst = order < 0 || (order === 0 && network.id < other.id);
    if (isFirst) byName.set(network.name, network);
  }
  const spare = listed.flatMap((network) => {
    const kept = byName.get(network.name);
    if (kept === undefined || kept.id === network.id) return [];
    const isSame = kept.driver === network.driver && subnetOf(kept) === subnetOf(network);
    return [{ network, kept, isFree: isSame && isOwn(network) && used(network) === 1 }];
  });
  return { byName, spare };
}
