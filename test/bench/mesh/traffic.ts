/**
 * IP traffic of each system, counted by nftables at loopback's output, and silence on request.
 * A connection's source is 127.0.0.1 in either program, so packets from and to a system's subnet
 * count; serf's RPC port, which only the bench uses, does not.
 */
import { run } from "../../lab/exec.ts";
import { RPC_PORT } from "./serf-system.ts";

export interface Counts {
  readonly bytes: number;
  readonly packets: number;
}

const TABLE = "inet bench";

/** Makes the counters of the systems' subnets (`127.77.1`), in this network namespace. */
export async function startCounting(prefixes: readonly string[]): Promise<void> {
  const counters = prefixes.map((prefix) => `counter ${counterName(prefix)} {}`);
  const rules = prefixes.flatMap((prefix) =>
    ["daddr", "saddr"].map(
      (side) => `ip ${side} ${prefix}.0/24 counter name ${counterName(prefix)} accept`,
    ),
  );
  const text = `table ${TABLE} {
    set silent { type ipv4_addr; }
    ${counters.join("\n")}
    chain output { type filter hook output priority 0;
      tcp dport ${RPC_PORT} accept
      tcp sport ${RPC_PORT} accept
      ${rules.join("\n")}
    }
    chain input { type filter hook input priority 0;
      ip daddr @silent drop
      ip saddr @silent drop
    }
  }
`;
  await run(["nft", "-f", "-"], { input: text });
}

/** What the peers of one subnet have sent so far. */
export async function counts(prefix: string): Promise<Counts> {
  const argv = ["nft", "-j", "list", "counter", ...TABLE.split(" "), counterName(prefix)];
  const { nftables } = JSON.parse((await run(argv)).stdout) as {
    nftables: { counter?: Counts }[];
  };
  const found = nftables.find(({ counter }) => counter !== undefined)?.counter;
  if (found === undefined) throw new Error(`no counter for ${prefix}`);
  return { bytes: found.bytes, packets: found.packets };
}

const WINDOW_MS = 2000;
const SETTLE_MS_MAX = 30_000;

/**
 * Resolves when a system's traffic falls no more: a mesh that has just met, on a busy machine, has
 * still something to do. Bounded, so that what never rests shows.
 */
export async function settled(prefix: string): Promise<void> {
  let before = Number.POSITIVE_INFINITY;
  for (let spentMs = 0; spentMs < SETTLE_MS_MAX; spentMs += WINDOW_MS) {
    const { packets } = await counts(prefix);
    await new Promise((resolve) => setTimeout(resolve, WINDOW_MS));
    const sent = (await counts(prefix)).packets - packets;
    if (sent >= before * 0.8) return;
    before = sent;
  }
}

/**
 * Drops everything from and to an address, as if its host had lost its power; or ends that. At the
 * input, because a drop at the output is an error to the sender, which tells it more than silence.
 */
export async function silence(address: string, on: boolean): Promise<void> {
  const verb = on ? "add" : "delete";
  await run(["nft", verb, "element", ...TABLE.split(" "), "silent", `{ ${address} }`]);
}

function counterName(prefix: string): string {
  return `c${prefix.replaceAll(".", "_")}`;
}
