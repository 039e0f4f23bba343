/**
 * The gateway of a lab: the router that the hosts' default route names, with the outside world on
 * its loopback. It shows that containers reach what is beyond their host, and only through NAT.
 */
import { fileURLToPath } from "node:url";
import { MTU_BYTES, plugIn } from "./lan.ts";
import { requireHolder, startHolder } from "./processes.ts";
import { labPaths } from "./record.ts";

/** Name of the gateway's port on the LAN, and of the gateway in partitions. */
export const GATEWAY = "gateway";
/** TEST-NET-2 (RFC 5737): belongs to nobody. */
export const OUTSIDE_ADDRESS = "198.51.100.1";
export const OUTSIDE_NAME = "outside.example";
export const OUTSIDE_PAGE = "hello from the outside\n";

const GATEWAY_INIT = `
set -e
ip link set lo up
ip addr add ${OUTSIDE_ADDRESS}/32 dev lo
exec "$@"`;

/** The gateway's address in a lab's /24. */
export function gatewayAddress(prefix: string): string {
  return `${prefix}.254`;
}

/** Starts the gateway with its servers and plugs it into the LAN. */
export async function startGateway(lab: string, prefix: string, mac: string): Promise<void> {
  const paths = labPaths(lab);
  const outside = fileURLToPath(new URL("./outside.ts", import.meta.url));
  await startHolder(paths.holder(GATEWAY), paths.log(GATEWAY), [
    ...["unshare", "--net", "sh", "-c", GATEWAY_INIT, "sh"],
    ...[process.execPath, "--import", import.meta.resolve("tsx"), outside],
  ]);
  await plugIn(lab, {
    port: GATEWAY,
    pid: requireHolder(paths.holder(GATEWAY)),
    address: gatewayAddress(prefix),
    mac,
    gateway: undefined,
    mtuBytes: MTU_BYTES,
  });
}
