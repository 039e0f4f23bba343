/** Containers on the machines of a lab (lab/machine.ts), and pings between them. */
import assert from "node:assert/strict";
import type { Background } from "../lab/background.ts";
import type { Machine } from "../lab/machine.ts";

/** Starts a container on the network tsweave that only waits. */
export async function start(machine: Machine, name: string): Promise<void> {
  const run = ["docker", "run", "-d", "--net", "tsweave", "--stop-timeout", "1", "--name", name];
  await machine.ok(...run, "busybox", "sleep", "100000");
}

export async function addressOf(machine: Machine, name: string): Promise<string> {
  const format = "{{.NetworkSettings.Networks.tsweave.IPAddress}}";
  return await machine.ok("docker", "inspect", "-f", format, name);
}

/** Ends a pinger as ctrl-c would: `docker exec` itself passes no signal on. */
export async function assertNoLoss(
  machine: Machine,
  container: string,
  ping: Background,
): Promise<void> {
  await machine.ok("docker", "exec", container, "killall", "-INT", "ping");
  await ping.wait(10_000);
  assert.match(ping.output, / 0% packet loss/);
}

export function pinger(container: string, address: string): string[] {
  return ["docker", "exec", container, "ping", "-i", "0.1", address];
}
