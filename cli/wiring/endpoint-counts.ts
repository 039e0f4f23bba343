/** How many endpoints each peer has on each network, and where, kept up with the table. */
import type { PeerId, TypedRow, TypedTable } from "../../mesh/index.ts";
import type { EndpointRow } from "../../overlay/index.ts";

export interface PeerEndpoints {
  /** The underlay address that its rows name; of several the newest. */
  readonly vtep: string;
  /** By network name. BOUNDED: rowsPerOriginMax. */
  readonly counts: ReadonlyMap<string, number>;
}

export class EndpointCounts {
  /** BOUNDED: peersMax; those with rows. */
  readonly #peers = new Map<PeerId, { vtep: string; readonly counts: Map<string, number> }>();

  /** Follows the table from now on. */
  constructor(endpoints: TypedTable<EndpointRow>) {
    for (const typed of endpoints.rows()) this.#count(typed, 1);
    endpoints.onChange((changes) => {
      for (const { before, after } of changes) {
        if (before !== undefined) this.#count(before, -1);
        if (after !== undefined) this.#count(after, 1);
      }
    });
  }

  /** Peers that have endpoint rows. */
  get peers(): ReadonlyMap<PeerId, PeerEndpoints> {
    return this.#peers;
  }

  #count({ origin, row: { network, vtep } }: TypedRow<EndpointRow>, by: 1 | -1): void {
    const known = this.#peers.get(origin) ?? { vtep, counts: new Map<string, number>() };
    const count = (known.counts.get(network) ?? 0) + by;
    if (by > 0) known.vtep = vtep;
    if (count > 0) known.counts.set(network, count);
    else known.counts.delete(network);
    if (known.counts.size > 0) this.#peers.set(origin, known);
    else this.#peers.delete(origin);
  }
}
