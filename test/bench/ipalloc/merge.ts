/**
 * Rows of many owners read, merged and written to disk together, as when a peer joins a large mesh:
 * the way from the table to the journal.
 */
import { parseCidr } from "../../../ipalloc/cidr.ts";
import { Intake } from "../../../ipalloc/intake.ts";
import { Ledger } from "../../../ipalloc/ledger.ts";
import type { Interval, Ownership } from "../../../ipalloc/ownership.ts";
import { encodeOwnership } from "../../../ipalloc/ownership-codec.ts";
import { decodeWire, encodeWire } from "../../../mesh/index.ts";
import { processClock } from "../../../mesh/io/clock.ts";
import { FileStore } from "../../../mesh/io/file-store.ts";
import { QuietLog } from "../../lib/quiet-log.ts";

const CIDR = parseCidr("10.0.0.0/8");
const MESH = "00000000000000ff";
/** The one that joins. */
const STORE = "aaaaaaaaaaaaaaaa";

export interface Merge {
  readonly ranges: number;
  readonly ms: number;
  readonly bytes: number;
}

/** `peers` rows of `each` ranges that lie between those of the other peers; `home` is new. */
export async function mergeRows(home: string, peers: number, each: number): Promise<Merge> {
  const ids = Array.from({ length: peers }, (_, n) => (n + 1).toString(16).padStart(16, "0"));
  const founders = ids.map((store) => ({ store, peer: store.padEnd(32, "1") }));
  const log = new QuietLog();
  const store = await FileStore.open(home, log);
  const ledger = await Ledger.open({ clock: processClock(), store, log }, () => STORE);
  await ledger.exclusive((commit) =>
    commit({ kind: "founding", founding: { meshId: MESH, founders } }),
  );
  const rows = ids.map((id, n) => {
    const view = encodeOwnership(rowOf(ids, n, each), CIDR.bits);
    return encodeWire([MESH, id, CIDR.text, view, 0]);
  });
  const startMs = performance.now();
  await new Promise<void>((resolve) => {
    const intake = new Intake({ log }, ledger, "0".repeat(32), resolve);
    intake.receive(
      rows.map((row, n) => ({
        origin: founders[n]?.peer ?? "",
        table: "ranges",
        key: CIDR.text,
        value: decodeWire(row),
      })),
    );
  });
  const ms = performance.now() - startMs;
  await store.close();
  const bytes = rows.reduce((sum, row) => sum + row.length, 0);
  return { ranges: ledger.state.pool(CIDR.text)?.ownership.length ?? 0, ms, bytes };
}

function rowOf(ids: readonly string[], n: number, each: number): Ownership {
  const size = (CIDR.end - CIDR.start) / BigInt(ids.length * each);
  const [owner = "", by = ""] = [ids[n], ids[(n + 1) % ids.length]];
  return Array.from({ length: each }, (_, nth): Interval => {
    const start = CIDR.start + BigInt(nth * ids.length + n) * size;
    return { start, end: start + size, generation: 0, step: 1 + nth, owner, by };
  });
}
