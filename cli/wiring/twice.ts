/**
 * Containers that have one address: which of them keeps it, and which has to be restarted.
 *
 * Law: it only happens from outside (two meshes that became one, --ip on both sides of a cut), and
 * it is settled by names, not by cutting anything off: the owner of the address keeps it.
 */
import type { EndpointRow, TwiceRow } from "../control/api.ts";

/** Name of the peer whose container keeps an address, as far as that is known. */
export type Keeper = (ip: string) => string | undefined;

/** Every endpoint of a live peer that has to give its address up to another one's. */
export function twiceRows(endpoints: readonly EndpointRow[], keeper: Keeper): TwiceRow[] {
  /** BOUNDED: one an endpoint row. */
  const groups = new Map<string, EndpointRow[]>();
  for (const row of endpoints) {
    if (!row.local && row.state !== "alive") continue;
    const key = `${row.network} ${row.ip}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].flatMap((group) => {
    if (group.length < 2) return [];
    const [first, ...others] = group.toSorted(byPeer);
    if (first === undefined) return [];
    const owner = keeper(first.ip);
    const kept = group.find(({ peer }) => peer === owner) ?? first;
    return [first, ...others]
      .filter((row) => row !== kept)
      .map(({ network, ip, peer, id, name }) => ({
        network,
        ip,
        container: nameOf({ id, name }),
        peer,
        keeper: { container: nameOf(kept), peer: kept.peer },
      }));
  });
}

/** The command that helps, and where. */
export function cureOf({ container, peer }: TwiceRow): string {
  return `on ${peer}: docker restart ${container}; if it has an --ip, start it with another`;
}

function nameOf({ id, name }: Pick<EndpointRow, "id" | "name">): string {
  return name === "" ? id.slice(0, 12) : name;
}

/** An order that all hosts share, for addresses whose owner runs none of them. */
function byPeer(a: EndpointRow, b: EndpointRow): number {
  return `${a.peer} ${a.id}` < `${b.peer} ${b.id}` ? -1 : 1;
}
