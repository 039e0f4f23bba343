/**
 * One peer alone on a real disk: what giving an address out and taking it back costs, against the
 * bare write and fdatasync of the same two records.
 */
import { mkdirSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { IpAlloc } from "../../../ipalloc/index.ts";
import type { Store } from "../../../mesh/index.ts";
import { processClock } from "../../../mesh/io/clock.ts";
import { FileStore } from "../../../mesh/io/file-store.ts";
import { cryptoRandom } from "../../../mesh/io/random.ts";
import { MemoryStore } from "../../lib/memory-store.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { median, quantile } from "../lib/stats.ts";

/** A journal record of a lease under a key of Docker's, and of its end, with their headers. */
const LEASE_BYTES = 180;
const FREE_BYTES = 62;
const POOL = "10.40.0.0/16";

/** A peer that nobody else is told of. */
export async function lonePeer(store: Store): Promise<IpAlloc> {
  const ipalloc = new IpAlloc(
    {
      clock: processClock(),
      random: cryptoRandom(),
      log: new QuietLog(),
      store,
      tables: {
        put: () => undefined,
        remove: () => undefined,
        rows: () => [],
        watch: () => () => undefined,
        announce: async () => ({ late: [] }),
      },
      rpc: {
        serve: () => () => undefined,
        call: async () => {
          throw new Error("nobody is there");
        },
      },
      members: () => [],
    },
    { self: "1".repeat(32), declared: [], advertise: { host: "127.0.0.1", port: 6783 } },
  );
  await ipalloc.start();
  while (ipalloc.status().founding.state !== "founded") await new Promise(setImmediate);
  await ipalloc.openPool(POOL);
  return ipalloc;
}

export interface LocalRound {
  /** Of one allocation and its release together, in µs. */
  readonly pairUs: number;
  readonly pairP99Us: number;
  readonly floorUs: number;
  /** Allocations a second when 32 are asked for at a time. */
  readonly perSecond: number;
}

/** Ours and the floor in turns, `pairs` of each. */
export async function localRound(dir: string, round: number, pairs: number): Promise<LocalRound> {
  const home = join(dir, `local-${round}`);
  mkdirSync(home);
  const store = await FileStore.open(home, new QuietLog());
  const ipalloc = await lonePeer(store);
  const bare = await open(join(home, "bare"), "a");
  const [ours, floor]: [number[], number[]] = [[], []];
  const key = (n: number): string => `docker:${n.toString(16).padStart(64, "0")}`;
  for (let n = 0; n < pairs; n++) {
    floor.push(await tookUs(() => bareTwice(bare)));
    const pair = async (): Promise<void> => {
      await ipalloc.release(POOL, await ipalloc.allocate(POOL, key(n)));
    };
    ours.push(await tookUs(pair));
  }
  const many = 8 * 32;
  const allUs = await tookUs(async () => {
    for (let first = 0; first < many; first += 32) {
      const keys = Array.from({ length: 32 }, (_, n) => key(100_000 + first + n));
      await Promise.all(keys.map((one) => ipalloc.allocate(POOL, one)));
    }
  });
  ipalloc.stop();
  await bare.close();
  await store.close();
  return {
    pairUs: median(ours),
    pairP99Us: quantile(ours, 0.99),
    floorUs: median(floor),
    perSecond: (many * 1e6) / allUs,
  };
}

async function bareTwice(file: FileHandle): Promise<void> {
  for (const size of [LEASE_BYTES, FREE_BYTES]) {
    await file.appendFile(Buffer.alloc(size, 1));
    await file.datasync();
  }
}

export async function tookUs(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return (performance.now() - startMs) * 1000;
}

export interface FullPool {
  readonly heapMib: number;
  /** Processor's part of one allocation and one release, without a disk, in µs. */
  readonly allocateUs: number;
  readonly churnUs: number;
}

/** A /16 given out to the last address, in memory. */
export async function fullPool(): Promise<FullPool> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const store = new MemoryStore();
  store.append = async () => undefined;
  store.rewrite = async () => undefined;
  const ipalloc = await lonePeer(store);
  collect();
  const before = process.memoryUsage().heapUsed;
  const count = 65_536 - 3;
  const key = (n: number): string => `docker:${n.toString(16).padStart(64, "0")}`;
  const fillUs = await tookUs(async () => {
    for (let n = 0; n < count; n++) await ipalloc.allocate(POOL, key(n));
  });
  collect();
  const heapMib = (process.memoryUsage().heapUsed - before) / 2 ** 20;
  const all = ipalloc.leases().map(({ ip }) => ip);
  // Every second one: the free space is in as many pieces as it can be.
  const churnUs = await tookUs(async () => {
    for (let n = 0; n < all.length; n += 2) await ipalloc.release(POOL, all[n] ?? "");
  });
  ipalloc.stop();
  return { heapMib, allocateUs: fillUs / count, churnUs: churnUs / Math.ceil(all.length / 2) };
}
