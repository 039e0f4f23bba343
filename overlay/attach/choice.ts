/**
 * From what is wished and what the target already has to what the endpoint will be. Pure.
 *
 * Law: whatever cannot be is refused before anything is changed, with the command that helps.
 */
import { addressWithin, parseCidr } from "../../ipalloc/index.ts";
import { LIMITS, TsweaveError } from "../../mesh/index.ts";
import { cidrContains, isIp, isMac, macOf, readCidr } from "../address.ts";
import { readNames } from "../docker/names.ts";
import type { HeldNetwork } from "../ledger.ts";
import type { HostRoute } from "../preflight.ts";
import type { ObservedLink } from "../state.ts";
import type { AttachWish, ResolverKind, Target } from "./model.ts";

/** What a namespace holds that matters here. */
export interface NamespaceView {
  readonly links: ReadonlyMap<string, ObservedLink>;
  readonly routes: readonly HostRoute[];
  readonly hasDefaultRoute: boolean;
  /** Whether Docker's resolver listens on 127.0.0.11. */
  readonly hasResolver: boolean;
}

/** What follows from wish and view alone. */
export interface Choice {
  readonly device: string;
  /** Empty: no second device, no default route. */
  readonly gatewayDevice: string;
  readonly resolver: ResolverKind;
}

const DEVICE = /^[A-Za-z0-9_.-]{1,15}$/;

/** @throws TsweaveError CONFIG, BAD_REQUEST. */
export function choose(
  wish: AttachWish,
  network: Pick<HeldNetwork, "name" | "internal">,
  target: Pick<Target, "kind" | "label">,
  view: NamespaceView,
): Choice {
  const device = deviceFor(wish.device, target, view);
  const isWanted = wish.gateway ?? (!view.hasDefaultRoute && !network.internal);
  const hasGateway = isWanted && target.kind !== "host";
  if (hasGateway && network.internal) {
    throw new TsweaveError("CONFIG", `network ${network.name} is internal: it has no gateway`, {
      hint: "leave out --gateway",
    });
  }
  if (hasGateway && view.hasDefaultRoute) {
    throw new TsweaveError("CONFIG", `${target.label} has a default route already`, {
      hint: "leave out --gateway, or remove that route first",
    });
  }
  const hasNames = wish.dns && target.kind !== "host";
  return {
    device,
    gatewayDevice: hasGateway ? freeDevice("eth", view, device) : "",
    resolver: hasNames ? (view.hasResolver ? "docker" : "own") : "none",
  };
}

function deviceFor(
  wished: string | undefined,
  { kind, label }: Pick<Target, "kind" | "label">,
  view: NamespaceView,
): string {
  if (wished === undefined) return freeDevice(kind === "host" ? "tsweave" : "eth", view, "");
  if (!DEVICE.test(wished) || wished === "lo" || /^\.+$/.test(wished)) {
    throw new TsweaveError("CONFIG", `'${wished.slice(0, 32)}' cannot name an interface`, {
      hint: "up to 15 letters, digits, and . _ -",
    });
  }
  if (!view.links.has(wished)) return wished;
  throw new TsweaveError("BAD_REQUEST", `${label} already has an interface ${wished}`, {
    hint: `use --interface ${freeDevice("eth", view, "")}`,
  });
}

function freeDevice(prefix: string, view: NamespaceView, taken: string): string {
  for (let number = 0; ; number++) {
    const name = `${prefix}${number}`;
    if (!view.links.has(name) && name !== taken) return name;
  }
}

/** The address that `IP` or `IP/PREFIX` means on a network. @throws TsweaveError CONFIG. */
export function addressOn(
  { name, subnet }: Pick<HeldNetwork, "name" | "subnet">,
  text: string,
): string {
  const [ip = "", prefix] = text.split("/", 2);
  const cidr = parseCidr(subnet);
  const block = readCidr(subnet);
  if (!isIp(ip) || ip.includes(":") || (prefix !== undefined && !/^\d{1,2}$/.test(prefix))) {
    throw new TsweaveError("CONFIG", `'${text.slice(0, 64)}' is not an IPv4 address`, {
      hint: `such as ${subnet.split("/")[0] ?? ""} with another end`,
    });
  }
  if (block === undefined || !cidrContains(block, ip)) {
    throw new TsweaveError("CONFIG", `${ip} is not in ${subnet}, the subnet of network ${name}`, {
      hint: "choose one of that subnet, or --network NAME; see 'tsweave status networks'",
    });
  }
  if (prefix !== undefined && Number(prefix) !== cidr.prefix) {
    throw new TsweaveError("CONFIG", `network ${name} is a /${cidr.prefix}, not a /${prefix}`, {
      hint: `write ${ip} or ${ip}/${cidr.prefix}`,
    });
  }
  addressWithin(cidr, ip);
  return ip;
}

/** The MAC wished for, else the address's own. @throws TsweaveError CONFIG. */
export function macFor(wished: string | undefined, ip: string): string {
  const mac = wished?.toLowerCase() ?? macOf(ip);
  if (isMac(mac)) return mac;
  throw new TsweaveError("CONFIG", `'${mac.slice(0, 40)}' is not a unicast MAC address`, {
    hint: "such as 02:42:0a:20:00:05",
  });
}

/**
 * The names wished for, lower case, each once; without any those of the target, where it has one.
 * @throws TsweaveError CONFIG for a name that no DNS query can spell.
 */
export function namesFor(wished: readonly string[], target: Target): readonly string[] {
  if (wished.length === 0) return readNames(ownNames(target));
  if (wished.length > LIMITS.namesPerEndpointMax) {
    const text = `more than ${LIMITS.namesPerEndpointMax} names`;
    throw new TsweaveError("CONFIG", text, { hint: "leave some --name out" });
  }
  const odd = wished.find((name) => readNames([name]).length === 0);
  if (odd === undefined) return readNames(wished);
  throw new TsweaveError("CONFIG", `'${odd.slice(0, 64)}' cannot be a name in DNS`, {
    hint: "letters, digits and hyphens, dots between the parts",
  });
}

function ownNames({ kind, label, path }: Target): string[] {
  if (kind === "container") return [label];
  const name = /^(?:\/var)?\/run\/netns\/([^/]+)$/.exec(path)?.[1];
  return kind === "netns" && name !== undefined ? [name] : [];
}
