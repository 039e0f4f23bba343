/**
 * What our names, addresses and ports answer, for every record type: rules only, no wire.
 *
 * Law: a name or address of ours is answered here whatever the type asked for, with the zone's SOA
 * where it has no such record, so that who caches knows for how long (RFC 2308).
 */
import { RCODE, TYPE } from "./codec.ts";
import { reverseAddress } from "./ipv4.ts";
import { foldCase, type Labels } from "./name.ts";
import type { Instance } from "./name-index.ts";
import type { Answer, Reply } from "./reply.ts";
import type { Found, Zone } from "./zone.ts";

/** Who asks: the union over the endpoints of one sandbox. */
export interface Asker {
  readonly networks: ReadonlySet<string>;
  /** Folded `--link` aliases. */
  readonly links: ReadonlySet<string>;
}

/** `_80._tcp.web`: a port by number, as there are no names for those that images expose. */
const SERVICE = /^_([1-9][0-9]{0,4})\._(tcp|udp|sctp)\.(.+)$/;
/** A PTR's zone is the parent of its name: the /24 of the address. */
const REVERSE_DEPTH = 1;

/** The reply to a folded name, its answers in the zone's order; undefined: not ours. */
export function lookUp(key: string, type: number, asker: Asker, zone: Zone): Reply | undefined {
  const address = reverseAddress(key);
  if (address !== undefined) return reverse(type, address, asker, zone);
  if (isLink(key, asker)) return undefined;
  const found = zone.find(key, asker.networks);
  if (found !== undefined) return forward(type, found);
  if (key === zone.apex.domain && type === TYPE.soa) return { ...GOOD, answers: [{ type: "SOA" }] };
  return service(key, type, asker, zone);
}

const GOOD = { rcode: RCODE.noError, answers: [] } as const;

/** A name of the zone that does not exist. */
export function unknownName(depth: number): Reply {
  return { rcode: RCODE.nxDomain, answers: [], soaDepth: depth };
}

function forward(type: number, { instances, depth }: Found): Reply {
  if (type === TYPE.a || type === TYPE.any) {
    const addresses = new Set(instances.map(({ address }) => address));
    return { ...GOOD, answers: [...addresses].map((address) => ({ type: "A", address })) };
  }
  if (type !== TYPE.srv) return { ...GOOD, soaDepth: depth };
  return services(instances, () => true, depth) ?? { ...GOOD, soaDepth: depth };
}

function reverse(type: number, address: number, asker: Asker, zone: Zone): Reply | undefined {
  const targets = zone.pointers(address, asker.networks);
  if (targets.length === 0) return zone.covers(address) ? unknownName(REVERSE_DEPTH) : undefined;
  if (type !== TYPE.ptr && type !== TYPE.any) return { ...GOOD, soaDepth: REVERSE_DEPTH };
  const unique = new Map(targets.map((target) => [target.join("."), target]));
  return { ...GOOD, answers: [...unique.values()].map((target) => ({ type: "PTR", target })) };
}

/** A port of a name of ours. */
function service(key: string, type: number, asker: Asker, zone: Zone): Reply | undefined {
  const [, digits, wanted, name] = SERVICE.exec(key) ?? [];
  if (name === undefined || isLink(name, asker)) return undefined;
  const found = zone.find(name, asker.networks);
  if (found === undefined) return undefined;
  const isAsked = (port: number, protocol: string) => {
    return port === Number(digits) && protocol === wanted;
  };
  const depth = found.depth + 2;
  const reply = services(found.instances, isAsked, depth);
  if (reply === undefined) return unknownName(depth);
  return type === TYPE.srv || type === TYPE.any ? reply : { ...GOOD, soaDepth: depth };
}

/** One SRV for each port of each instance, and the instances' addresses beside them. */
function services(
  instances: readonly Instance[],
  isAsked: (port: number, protocol: string) => boolean,
  soaDepth: number,
): Reply | undefined {
  const answers: Answer[] = [];
  const addresses: { owner: Labels; address: number }[] = [];
  for (const { address, target, ports } of instances) {
    const asked = ports.filter(({ port, protocol }) => isAsked(port, protocol));
    if (asked.length === 0 || target.length === 0) continue;
    for (const { port } of asked) answers.push({ type: "SRV", port, target });
    addresses.push({ owner: target, address });
  }
  return answers.length === 0 ? undefined : { ...GOOD, answers, addresses, soaDepth };
}

/** Docker resolves a link as `alias` and as `alias.network`, ahead of any container's name. */
function isLink(key: string, asker: Asker): boolean {
  if (asker.links.size === 0) return false;
  if (asker.links.has(key)) return true;
  return [...asker.networks].some((network) => {
    const suffix = `.${foldCase(network)}`;
    return key.endsWith(suffix) && asker.links.has(key.slice(0, -suffix.length));
  });
}
