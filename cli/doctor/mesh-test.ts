/**
 * All pairs of a mesh, each measured by the first of the two: asked for in portions, some hosts at
 * a time.
 */
import { asTsweaveError } from "../../mesh/index.ts";
import type { ControlClient } from "../control/client.ts";
import { type MeshTest, PROBE_TARGETS_MAX, type ProbeRow } from "../control/probe-api.ts";
import { judgePair, type Pair, planPairs } from "./pairs.ts";

const AT_ONCE = 8;

/** `told` hears of pairs done and pairs to do. @throws as ControlClient.status */
export async function testMesh(
  client: ControlClient,
  all: boolean,
  told: (done: number, total: number) => void,
): Promise<MeshTest> {
  const startMs = performance.now();
  const { peers: known } = await client.read("peers");
  const named = ({ id, name }: { readonly id: string; readonly name: string }) => ({ id, name });
  const peers = known.filter(({ state }) => state === "alive").map(named);
  const absent = known.filter(({ state }) => state === "suspect" || state === "dead").map(named);
  const names = new Map(known.map(({ id, name }) => [id, name]));
  const plan = planPairs(
    peers.map(({ id }) => id),
    all,
  );
  const jobs = [...plan].flatMap(([from, to]) => portions(to).map((some) => ({ from, to: some })));
  const total = [...plan.values()].reduce((sum, to) => sum + to.length, 0);
  const rows: ProbeRow[] = [];
  const work = async (): Promise<void> => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
      rows.push(...(await probed(client, job.from, job.to)));
      told(rows.length, total);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const name = (id: string): string => names.get(id) ?? id.slice(0, 8);
  const order = ({ from, to }: Pair): string => `${name(from)} ${from} ${name(to)} ${to}`;
  const pairs = rows
    .map((row) => judgePair(row, name))
    .sort((a, b) => (order(a) < order(b) ? -1 : 1));
  return {
    ok: absent.length === 0 && pairs.every(({ faults }) => faults.length === 0),
    ...{ peers, absent, pairs },
    pairsAll: peers.length * (peers.length - 1),
    pairsTried: pairs.length,
    tunnelsTried: pairs.filter(({ tunnel }) => tunnel !== null).length,
    tookMs: Math.round(performance.now() - startMs),
  };
}

function portions(ids: readonly string[]): string[][] {
  const count = Math.ceil(ids.length / PROBE_TARGETS_MAX);
  return Array.from({ length: count }, (_, at) =>
    ids.slice(at * PROBE_TARGETS_MAX, (at + 1) * PROBE_TARGETS_MAX),
  );
}

/** A host that does not answer is the fault of each of its pairs. */
async function probed(
  client: ControlClient,
  from: string,
  to: readonly string[],
): Promise<readonly ProbeRow[]> {
  try {
    return await client.probe({ from, to });
  } catch (error) {
    const { code, message } = asTsweaveError(error);
    if (code === "NOT_RUNNING") throw error;
    const nothing = { gossip: null, direct: null, rttMs: null, streamMs: null };
    return to.map((id) => ({
      ...{ from, to: id, ...nothing, underlay: null, tunnelBytes: null, tunnel: null },
      error: message,
    }));
  }
}
