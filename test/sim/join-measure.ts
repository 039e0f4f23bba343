/** What 10 000 endpoint rows cost: a late joiner, the digest, the codec, the disk. */
import { decodeWire, encodeWire } from "../../mesh/index.ts";
import { deltaFromWire, deltaToWire } from "../../mesh/tables/messages.ts";
import { Replica } from "../../mesh/tables/replica.ts";
import { BUCKET_HASHES_BYTES, STATE_HASH_BYTES } from "../../mesh/tables/vector-hash.ts";
import { endpointValue } from "./spread-measure.ts";
import { StillMesh } from "./still-mesh.ts";

export interface JoinFigures {
  readonly rows: number;
  readonly joinVirtualMs: number;
  /** All bytes that all peers sent until the joiner held every row. */
  readonly joinBytes: number;
  readonly digestBytes: number;
  readonly bucketBytes: number;
  readonly snapshotBytes: number;
  readonly snapshotMs: number;
  /** What one changed row adds to the disk, and how long it takes to say so. */
  readonly journalBytes: number;
  readonly journalMs: number;
  readonly encodedRowsPerSecond: number;
  readonly decodedRowsPerSecond: number;
  readonly digestMicroseconds: number;
}

export async function measureJoin(peers: number, rowsEach: number): Promise<JoinFigures> {
  const mesh = new StillMesh(1, peers + 1);
  for (let index = 0; index < peers; index += 1) {
    const node = await mesh.make(index);
    for (let row = 0; row < rowsEach; row += 1) {
      node.tables.put("endpoints", `e${index * rowsEach + row}`, endpointValue(row));
    }
    await node.start();
  }
  const settled = () => new Set(mesh.nodes.map(({ tables }) => tables.digest())).size === 1;
  while (!settled()) await mesh.clock.run(500);
  const [first] = mesh.members;
  if (first === undefined) throw new Error("a mesh without members");
  const joiner = await mesh.make(peers);
  await joiner.start();
  const [startMs, startBytes] = [mesh.clock.nowMs(), mesh.bytes()];
  joiner.tables.membershipChanged({ type: "alive", member: first });
  while (joiner.tables.rows("endpoints").length < peers * rowsEach) await mesh.clock.run(0.5);
  const [joinVirtualMs, joinBytes] = [mesh.clock.nowMs() - startMs, mesh.bytes() - startBytes];
  for (const { tables } of mesh.nodes) tables.stop();
  return { rows: peers * rowsEach, joinVirtualMs, joinBytes, ...costs(peers, rowsEach) };
}

/** The same rows in one replica, for what needs no network. */
function costs(peers: number, rowsEach: number) {
  const replica = new Replica("f".repeat(32), 1);
  for (let index = 0; index < peers; index += 1) {
    const origin = new Replica(index.toString(16).padStart(32, "0"), 1_800_000_000);
    for (let row = 0; row < rowsEach; row += 1) {
      origin.put("endpoints", `e${index * rowsEach + row}`, endpointValue(row));
    }
    replica.merge(origin.ownDelta(0));
  }
  const rows = peers * rowsEach;
  const saved = replica.vector();
  const { deltas } = replica.deltasFor([], Number.POSITIVE_INFINITY);
  const bytes = encodeWire(deltas.map(deltaToWire));
  const encodeMs = timed(() => encodeWire(deltas.map(deltaToWire)));
  const decodeMs = timed(() => (decodeWire(bytes) as never[]).map(deltaFromWire));
  const snapshotMs = timed(() => replica.dump());
  const change = new Replica("0".repeat(32), 1_800_000_000);
  for (let row = 0; row <= rowsEach; row += 1)
    change.put("endpoints", `e${row}`, endpointValue(row));
  replica.merge(change.ownDelta(rowsEach));
  return {
    digestBytes: STATE_HASH_BYTES,
    bucketBytes: BUCKET_HASHES_BYTES,
    snapshotBytes: replica.dump().length,
    snapshotMs,
    journalBytes: replica.dumpSince(saved)?.length ?? 0,
    journalMs: timed(() => replica.dumpSince(saved)),
    encodedRowsPerSecond: Math.round((1000 * rows) / encodeMs),
    decodedRowsPerSecond: Math.round((1000 * rows) / decodeMs),
    digestMicroseconds: 1000 * timed(() => replica.digest()),
  };
}

/** Milliseconds of one call, the median of some. */
function timed(act: () => unknown): number {
  const took = Array.from({ length: 9 }, () => {
    const startMs = performance.now();
    act();
    return performance.now() - startMs;
  });
  return Math.round((took.sort((a, b) => a - b)[4] ?? 0) * 1000) / 1000;
}
