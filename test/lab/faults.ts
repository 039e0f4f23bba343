/**
 * Faults of the LAN: partitions, loss, slow links, small MTUs, pulled cables. The record says how
 * the LAN should be; every change renders it whole, so faults add up over separate commands and a
 * host that boots meets the same LAN it left. This kernel has no netem: loss is nft's numgen in
 * the bridge family (nft(8)), rate is tbf (tc-tbf(8)).
 */
import { run } from "./exec.ts";
import { inLan, inNetwork, MTU_BYTES } from "./lan.ts";
import type { FaultRecord } from "./record.ts";

/** The LAN as it is without faults. */
export function noFaults(): FaultRecord {
  return { partitions: [], loss: {}, rateMbit: {}, mtuBytes: {}, unplugged: [] };
}

/** The nft input that makes the bridge drop what partitions and loss ask for. */
function renderFaults(faults: FaultRecord): string {
  const set = (names: readonly string[]) => `{ ${names.map((name) => `"${name}"`).join(", ")} }`;
  const rules = faults.partitions.map(
    ({ from, to }) => `iifname ${set(from)} oifname ${set(to)} counter drop`,
  );
  for (const [host, percent] of Object.entries(faults.loss)) {
    const chance = percent >= 100 ? "" : `numgen random mod 1000 < ${Math.round(percent * 10)} `;
    for (const side of ["iifname", "oifname"]) {
      rules.push(`${side} "${host}" ${chance}counter drop`);
    }
  }
  return [
    "add table bridge lab",
    "delete table bridge lab",
    "table bridge lab {",
    "  chain forward {",
    "    type filter hook forward priority 0; policy accept;",
    ...rules.map((rule) => `    ${rule}`),
    "  }",
    "}",
    "",
  ].join("\n");
}

/** Puts partitions and loss into the kernel. */
export async function applyDrops(lab: string, faults: FaultRecord): Promise<void> {
  await run([...inLan(lab), "nft", "-f", "-"], { input: renderFaults(faults) });
}

/** Puts one host's rate, MTU and cable into the kernel, at both ends of its cable. */
export async function applyCable(
  lab: string,
  faults: FaultRecord,
  host: string,
  pid: number,
): Promise<void> {
  const mtu = String(faults.mtuBytes[host] ?? MTU_BYTES);
  const ends: [string[], string][] = [
    [inLan(lab), host],
    [inNetwork(pid), "eth0"],
  ];
  for (const [prefix, device] of ends) {
    await run([...prefix, "ip", "link", "set", "dev", device, "mtu", mtu]);
    await applyRate(prefix, device, faults.rateMbit[host]);
  }
  const cable = faults.unplugged.includes(host) ? "down" : "up";
  await run([...inLan(lab), "ip", "link", "set", "dev", host, cable]);
}

async function applyRate(prefix: string[], device: string, mbit: number | undefined) {
  const tc = [...prefix, "tc", "qdisc"];
  if (mbit === undefined) {
    await run([...tc, "del", "dev", device, "root"], { allowFailure: true });
    return;
  }
  // A bucket of 10 ms at the rate, and at least a few frames, keeps tbf near the asked rate.
  const burstBytes = Math.max(Math.round((mbit * 1e6) / 8 / 100), 20_000);
  const tbf = ["tbf", "rate", `${mbit}mbit`, "burst", String(burstBytes), "latency", "100ms"];
  await run([...tc, "replace", "dev", device, "root", ...tbf]);
}
