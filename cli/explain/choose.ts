/** Which endpoint A is, and whose B's name or address is, by the tables. Pure. */
import { containsCidr, parseAddress, parseCidr } from "../../ipalloc/index.ts";
import type { AttachmentRow, EndpointRow, NetworkRow, PoolRow } from "../control/api.ts";
import type { NameFacts, SourceFacts, TargetFacts } from "./facts.ts";

/** What the daemon's tables hold. */
export interface Tables {
  readonly own: readonly AttachmentRow[];
  readonly endpoints: readonly EndpointRow[];
  readonly networks: readonly NetworkRow[];
  readonly pools: readonly PoolRow[];
  readonly domain: string;
  /** This peer's name. */
  readonly self: string;
}

/** A word may be a name, the beginning of an id, a path or its last part. */
function isNamed(
  word: string,
  row: { readonly id: string; readonly names: readonly string[]; readonly target?: string },
): boolean {
  const { id, names, target = "" } = row;
  if (target === word || names.includes(word) || target.endsWith(`/netns/${word}`)) return true;
  // Docker gives each container the first twelve digits of its id as a name.
  if (/^[0-9a-f]{12,64}$/.test(word) && names.includes(word.slice(0, 12))) return true;
  return /^[0-9a-f]{7,64}$/.test(word) && id.startsWith(word);
}

const namesOf = ({ name, aliases }: EndpointRow) => (name === "" ? aliases : [name, ...aliases]);

/** A's endpoints on this host, all of them. */
export function ownEndpoints(word: string, { own }: Tables): readonly AttachmentRow[] {
  if (word === "host") return own.filter(({ kind }) => kind === "host");
  return own.filter((row) => row.kind !== "host" && (isNamed(word, row) || row.ip === word));
}

/** A on `network`; where that is undefined, on its first. */
export function sourceFacts(
  word: string,
  mine: readonly AttachmentRow[],
  tables: Tables,
  network: string | undefined,
): SourceFacts {
  const endpoint = mine.find((row) => network === undefined || row.network === network) ?? null;
  const far = tables.endpoints.find(
    (row) => !row.local && isNamed(word, { ...row, names: namesOf(row) }),
  );
  const elsewhere = far === undefined ? null : { peer: far.peer, network: far.network };
  return { endpoint, networks: mine.map((row) => row.network), elsewhere };
}

/** B by name: what the zone answered, else endpoints that are called so. */
export function nameFacts(
  word: string,
  answers: NameFacts["answers"],
  resolver: NameFacts["resolver"],
  networks: readonly string[],
  { endpoints, domain }: Tables,
): NameFacts {
  const folded = word.toLowerCase().replace(/\.$/, "");
  const bare = folded.endsWith(`.${domain}`) ? folded.slice(0, -domain.length - 1) : word;
  const called = endpoints.filter((row) => isNamed(bare, { ...row, names: namesOf(row) }));
  const byId = called
    .filter(({ network }) => networks.includes(network))
    .map(({ network, ip }) => ({ network, ip }));
  const elsewhere = called
    .filter(({ network }) => !networks.includes(network))
    .map(({ network, peer }) => ({ network, peer }));
  return { answers: answers.length > 0 ? answers : byId, elsewhere, resolver };
}

/** The network of A's on which an address is to be reached. */
export function networkOf(ip: string, networks: readonly string[], tables: Tables): string {
  const holder = tables.endpoints.find((row) => row.ip === ip && networks.includes(row.network));
  const around = networks.find((name) => isInside(ip, subnetOf(name, tables)) === true);
  return holder?.network ?? around ?? networks[0] ?? "";
}

/** All that the tables say of an address on a network. */
export function targetFacts(ip: string, network: string, tables: Tables): TargetFacts {
  const { endpoints, pools } = tables;
  const holders = endpoints.filter((row) => row.ip === ip && row.network === network);
  // As in the kernel: what is here comes first.
  const [found, ...twins] = holders.toSorted((a, b) => Number(b.local) - Number(a.local));
  const other = endpoints.find((row) => row.ip === ip && row.network !== network);
  const conflict = pools.flatMap(({ conflicts }) => conflicts).find((one) => one.ip === ip);
  return {
    ip,
    network,
    inSubnet: isInside(ip, subnetOf(network, tables)),
    endpoint: found === undefined ? null : held(found),
    twins: twins.map(({ name, id, peer }) => ({ name: name || id.slice(0, 12), peer })),
    otherNetwork:
      other === undefined ? null : { network: other.network, name: other.name || other.id },
    rangeOwner: rangeOwner(ip, pools),
    conflictWith: conflict?.owner ?? null,
  };
}

function held({ id, name, mac, peer, vtep, local }: EndpointRow): TargetFacts["endpoint"] {
  return { id, name, mac, peer, vtep, local };
}

/** The network as this host has it, where two have its name. */
export function networkRow(name: string, { networks, self }: Tables): NetworkRow | undefined {
  const named = networks.filter((row) => row.name === name);
  return named.find(({ present }) => present.includes(self)) ?? named[0];
}

function subnetOf(name: string, tables: Tables): string | undefined {
  return networkRow(name, tables)?.subnet;
}

function isInside(ip: string, subnet: string | undefined): boolean | null {
  if (subnet === undefined) return null;
  const bits = ip.includes(":") ? 128 : 32;
  return containsCidr(parseCidr(subnet), parseCidr(`${ip}/${bits}`));
}

function rangeOwner(ip: string, pools: readonly PoolRow[]): string | null {
  if (ip.includes(":")) return null;
  const { value } = parseAddress(ip);
  const has = (range: string): boolean => {
    const [first = "", last = first] = range.split("-");
    return parseAddress(first).value <= value && value <= parseAddress(last).value;
  };
  const owners = pools.flatMap(({ owned }) => owned);
  return owners.find(({ ranges }) => ranges.some(has))?.peer ?? null;
}
