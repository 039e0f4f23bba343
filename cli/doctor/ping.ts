/** Everything that `tsweave ping` measures, one part after the other. */
import { setTimeout as sleep } from "node:timers/promises";
import { TsweaveError } from "../../mesh/index.ts";
import type { PingReport } from "../commands/ping.ts";
import type { HostFacts, PeerAnswer } from "../control/api.ts";
import type { ControlClient } from "../control/client.ts";
import { probePath } from "./path-probe.ts";

const PAUSE_MS = 200;

/** @throws TsweaveError NOT_FOUND, USAGE where several peers have that name */
export async function pingPeer(
  client: ControlClient,
  word: string,
  count: number,
): Promise<PingReport> {
  const [first, second] = await client.ask(word);
  if (second !== undefined) {
    throw new TsweaveError("USAGE", `'${word}' names more than one peer`, {
      hint: "use the beginning of an id, see 'tsweave status peers'",
    });
  }
  const id = first?.id ?? "";
  const host = await client.host();
  const { connections } = await client.read("connections");
  const gossip = connections.find((row) => row.id === id);
  if (first === undefined || gossip === undefined) {
    throw new TsweaveError("NOT_FOUND", `no other peer is known as '${word}'`, {
      hint: "see 'tsweave status peers'",
    });
  }
  const answers: PeerAnswer[] = [first];
  while (answers.length < count) {
    await sleep(PAUSE_MS);
    answers.push(...(await client.ask(id)).slice(0, 1));
  }
  const address = hostOf(gossip.address);
  const underlay = { address, ...(await probePath(address, host.underlayMtuBytes)) };
  const tunnel = await tunnelTo(client, host, first.peer);
  const heard = answers.every(({ error }) => error === null);
  const passes = underlay.largestBytes === null || underlay.largestBytes >= mtuNeeded(tunnel, host);
  const tunnelled = tunnel === null || (tunnel.largestBytes ?? 0) >= tunnel.mtu;
  const ok = heard && gossip.state === "established" && gossip.direct !== false;
  return {
    ...{ peer: first.peer, id, gossip, answers, underlay, tunnel },
    ok: ok && passes && tunnelled,
  };
}

/** What the underlay must carry for the largest packet of a container. */
function mtuNeeded(tunnel: PingReport["tunnel"], host: HostFacts): number {
  return tunnel === null ? 0 : tunnel.mtu + (host.address.includes(":") ? 70 : 50);
}

/** From a container here to one there on the same network, if there are two. */
async function tunnelTo(
  client: ControlClient,
  { sandboxes }: HostFacts,
  peer: string,
): Promise<PingReport["tunnel"]> {
  const { endpoints } = await client.read("endpoints");
  const { networks } = await client.read("networks");
  for (const { key, networks: names } of sandboxes) {
    const target = endpoints.find((row) => row.peer === peer && names.includes(row.network));
    const mtu = networks.find(({ name }) => name === target?.network)?.mtu;
    if (target === undefined || mtu === undefined) continue;
    const probe = await probePath(target.ip, mtu, key);
    return { network: target.network, address: target.ip, mtu, ...probe };
  }
  return null;
}

/** `host:port` without its port and brackets. */
export function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(":")).replace(/^\[|\]$/g, "");
}
