/**
 * Judgement of a host before launch: routes, name servers, probe results → problems. Pure.
 *
 * Law: refuse at launch with the name of what is in the way, rather than build an overlay whose
 * containers cannot reach part of the network they are in.
 */
import { TsweaveError } from "../mesh/index.ts";
import { canonicalIp, cidrContains, cidrsOverlap, isIp, readCidr } from "./address.ts";

/** A route of the host: destination with prefix length, and the device. */
export interface HostRoute {
  readonly destination: string;
  readonly device: string;
}

/** Reads `ip -j route show` output. Throws `COMMAND_FAILED` when it is none. */
export function parseRoutes(json: string): HostRoute[] {
  let rows: unknown;
  try {
    rows = JSON.parse(json.trim() === "" ? "[]" : json);
  } catch (cause) {
    throw new TsweaveError("COMMAND_FAILED", "ip route show: no JSON", { cause });
  }
  const routes: HostRoute[] = [];
  for (const row of Array.isArray(rows) ? rows : []) {
    const { dst, dev } = row as { dst?: unknown; dev?: unknown };
    if (typeof dst !== "string" || dst === "default") continue;
    const full = dst.includes("/") ? dst : `${dst}/${dst.includes(":") ? 128 : 32}`;
    routes.push({ destination: full, device: typeof dev === "string" ? dev : "?" });
  }
  return routes;
}

/** Name server addresses of a resolv.conf. */
export function parseNameservers(resolvConf: string): string[] {
  return resolvConf
    .split("\n")
    .map((line) => /^\s*nameserver\s+([^\s%#;]+)/.exec(line)?.[1] ?? "")
    .filter(isIp)
    .map(canonicalIp);
}

/**
 * `SUBNET_OVERLAP` for each host route and name server inside or around the overlay subnet.
 * Default routes, halves of the address space (VPN style defaults) and our own devices do not
 * count. An unreadable subnet is `CONFIG`.
 */
export function subnetProblems(
  subnet: string,
  routes: readonly HostRoute[],
  nameservers: readonly string[],
): TsweaveError[] {
  const block = readCidr(subnet);
  if (block === undefined) {
    return [new TsweaveError("CONFIG", `${subnet} is not a subnet`, { hint: "e.g. 10.32.0.0/12" })];
  }
  const problems: TsweaveError[] = [];
  for (const { destination, device } of routes) {
    const route = readCidr(destination);
    if (route === undefined || route.prefix <= 1 || device.startsWith("tsweave")) continue;
    if (!cidrsOverlap(block, route)) continue;
    problems.push(overlap(subnet, `the host's route ${destination} dev ${device}`));
  }
  for (const nameserver of nameservers) {
    if (cidrContains(block, nameserver)) {
      problems.push(overlap(subnet, `the host's name server ${nameserver}`));
    }
  }
  return problems;
}

/** The problem behind a line of the kernel probe that failed. */
export function probeProblem(what: string, error: string): TsweaveError {
  if (/Operation not permitted|Permission denied/.test(error)) {
    return new TsweaveError("NOT_ROOT", `not allowed to create a ${what} device`, {
      hint: "run as root, in a container with --privileged",
    });
  }
  const hint = `modprobe ${what}, or a kernel with CONFIG_${what.toUpperCase()}`;
  return new TsweaveError("KERNEL_LACKS", `the kernel has no ${what} devices (${error})`, { hint });
}

function overlap(subnet: string, what: string): TsweaveError {
  return new TsweaveError("SUBNET_OVERLAP", `subnet ${subnet} overlaps ${what}`, {
    hint: "choose another with --ipalloc-range",
  });
}
