/**
 * All checks, side by side, and the repairs.
 *
 * Law: a check that fails to look is a finding of its own; it hides no other.
 */
import { asTsweaveError, messageOf } from "../../mesh/index.ts";
import type { LaunchConfig } from "../config.ts";
import type { ControlClient } from "../control/client.ts";
import { checkDirect } from "./direct.ts";
import { checkDocker, checkPlugin } from "./docker.ts";
import { type Finding, findings } from "./finding.ts";
import type { Daemon, Host } from "./host.ts";
import { checkLeftovers } from "./leftovers.ts";
import { checkHealth, checkPeers } from "./mesh.ts";
import { checkDisk, checkFirewall, checkSysctls } from "./settings.ts";
import { checkPorts, checkRange, checkSoftware } from "./software.ts";

const CHECKS: Readonly<Record<string, (host: Host) => Finding[] | Promise<Finding[]>>> = {
  daemon: checkHealth,
  kernel: checkSoftware,
  ports: checkPorts,
  firewall: checkFirewall,
  sysctl: checkSysctls,
  disk: checkDisk,
  range: checkRange,
  docker: checkDocker,
  plugin: checkPlugin,
  peers: checkPeers,
  direct: checkDirect,
  leftovers: checkLeftovers,
};

/** A finding after the repairs; `fixed` tells whether one was made. */
export type Examined = Omit<Finding, "repair"> & { readonly fixed: boolean };

/** What the daemon says, undefined when none runs. @throws what the daemon says otherwise */
export async function daemonOf(client: ControlClient): Promise<Daemon | undefined> {
  try {
    const [status, host] = await Promise.all([client.status(), client.host()]);
    const { networks } = await client.read("networks");
    return { client, status, host, networks, answers: await client.ask() };
  } catch (error) {
    if (asTsweaveError(error).code === "NOT_RUNNING") return undefined;
    throw error;
  }
}

/** Runs every check; with `fix` makes the safe repairs. */
export async function examine(
  daemon: Daemon | undefined,
  next: LaunchConfig,
  fix: boolean,
): Promise<Examined[]> {
  const config = daemon?.host.config ?? { ...next, encrypted: next.password !== undefined };
  const host: Host = { daemon, config };
  const all = await Promise.all(
    Object.entries(CHECKS).map(([name, check]) => look(name, check, host)),
  );
  const examined: Examined[] = [];
  for (const finding of all.flat()) examined.push(await repaired(finding, fix));
  return examined;
}

async function look(
  name: string,
  check: (host: Host) => Finding[] | Promise<Finding[]>,
  host: Host,
): Promise<Finding[]> {
  try {
    return await check(host);
  } catch (error) {
    const { message, hint } = asTsweaveError(error);
    return [findings(name).warn(`could not be looked at: ${message}`, hint ?? "tsweave report")];
  }
}

async function repaired({ repair, ...finding }: Finding, fix: boolean): Promise<Examined> {
  if (repair === undefined || !fix) return { ...finding, fixed: false };
  try {
    await repair.run();
    return {
      ...finding,
      state: "ok",
      text: `${finding.text}: ${repair.what}`,
      next: null,
      fixed: true,
    };
  } catch (error) {
    return { ...finding, text: `${finding.text}; not repaired: ${messageOf(error)}`, fixed: false };
  }
}
