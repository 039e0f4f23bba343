/** Three whole peers of this process (loopback sockets, disks) launched at once, as daemons are. */
import { join } from "node:path";
import { openMesh } from "../../../cli/wiring/mesh.ts";
import { Stops } from "../../../cli/wiring/stops.ts";
import { type InitMode, IpAlloc } from "../../../ipalloc/index.ts";
import type { HostPort } from "../../../mesh/index.ts";
import { processClock } from "../../../mesh/io/clock.ts";
import { cryptoRandom } from "../../../mesh/io/random.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import type { Cleanup } from "../lib/cleanup.ts";
import { tookUs } from "./local.ts";

const PORT = 6783;
const POOL = "10.40.0.0/16";
const COUNT = 3;

interface Peer {
  readonly ipalloc: IpAlloc;
  readonly start: () => Promise<void>;
  readonly stops: Stops;
}

export interface ThreeRound {
  /** From the launch of all to the first address of the last of them. */
  readonly firstMs: number;
  /** One address that another peer owns, claimed: the question, and both its ends on disk. */
  readonly giftMs: readonly number[];
}

/** `round` keeps addresses and directories of rounds apart. */
export async function threeRound(
  dir: string,
  round: number,
  init: InitMode,
  gifts: number,
  cleanup: Cleanup,
): Promise<ThreeRound> {
  const places = Array.from({ length: COUNT }, (_, n) => ({
    host: `127.78.${round + 1}.${n + 1}`,
    port: PORT,
  }));
  const peers = await Promise.all(
    places.map((at, n) => peerAt(dir, `r${round}n${n}`, at, places, init)),
  );
  const stop = async (): Promise<void> => {
    await Promise.all(peers.map(({ stops }) => stops.run()));
  };
  cleanup.add(`peers of round ${round}`, stop);
  const firstUs = await tookUs(async () => {
    const first = async ({ ipalloc, start }: Peer, n: number): Promise<string> => {
      await start();
      await ipalloc.openPool(POOL);
      return await ipalloc.allocate(POOL, `first-${n}`, { deadlineMs: 20_000 });
    };
    const given = await Promise.all(peers.map(first));
    if (new Set(given).size < COUNT) throw new Error(`one address twice: ${given.join(" ")}`);
  });
  const giftMs: number[] = [];
  const asker = peers[0]?.ipalloc as IpAlloc;
  const [pool] = asker.status().pools;
  const self = asker.status().store;
  const other = pool?.owned.find(({ store }) => store !== self)?.ranges[0]?.split("-")[0] ?? "";
  const [a = "", b = "", c = ""] = other.split(".");
  for (let n = 0; n < gifts; n++) {
    const ip = `${a}.${b}.${Number(c) + 1 + (n >> 7)}.${2 * (n & 127) + 1}`;
    giftMs.push((await tookUs(() => asker.claim(POOL, `gift-${n}`, ip))) / 1000);
  }
  await stop();
  return { firstMs: firstUs / 1000, giftMs };
}

async function peerAt(
  dir: string,
  name: string,
  at: HostPort,
  all: readonly HostPort[],
  init: InitMode,
): Promise<Peer> {
  const log = new QuietLog();
  const clock = processClock();
  const random = cryptoRandom();
  const stops = new Stops(log);
  const peers = all.filter(({ host }) => host !== at.host);
  const { node, self, store, start } = await openMesh(
    { clock, random, log, stops },
    {
      stateDir: join(dir, name),
      password: undefined,
      name,
      membership: "native",
      bind: at,
      advertise: at,
      hosts: [at.host],
      latency: "lan",
      peers,
    },
  );
  const members = () => node.membership.members();
  const ipalloc = new IpAlloc(
    { clock, random, log, store, tables: node.tables, rpc: node.rpc, members },
    { self, declared: peers, advertise: at, init, name },
  );
  await ipalloc.start();
  stops.add("ipalloc", () => ipalloc.stop());
  node.membership.onEvent(() => ipalloc.membershipChanged());
  return { ipalloc, start, stops };
}
