/**
 * Bytes between this host and each other host through the tunnels, counted by the kernel.
 *
 * A vxlan device counts by device, not by remote end. So an nft table of our own counts what comes
 * in and goes out at the VXLAN port of the host's namespace, an element an underlay address.
 *
 * Law: own table only, and it decides nothing. It outlives the daemon, so that counters go on; on
 * a kernel without it nothing works less.
 */

export const TRAFFIC_TABLE = "inet tsweave_traffic";

/** More addresses than this are not counted: LIMITS.peersMax hosts with two each. */
export const COUNTED_MAX = 8192;

export type Way = "in" | "out";

/** One set of addresses: which way, and of which IP version. */
interface Book {
  readonly set: string;
  readonly way: Way;
  readonly type: "ipv4_addr" | "ipv6_addr";
  readonly match: string;
}

const BOOKS: readonly Book[] = [
  { set: "in4", way: "in", type: "ipv4_addr", match: "ip saddr @in4" },
  { set: "in6", way: "in", type: "ipv6_addr", match: "ip6 saddr @in6" },
  { set: "out4", way: "out", type: "ipv4_addr", match: "ip daddr @out4" },
  { set: "out6", way: "out", type: "ipv6_addr", match: "ip6 daddr @out6" },
];
const HOOKS: Readonly<Record<Way, string>> = { in: "input", out: "output" };

/** Script that removes the table, whether it is there or not. */
export const TRAFFIC_GONE = `table ${TRAFFIC_TABLE}\ndelete table ${TRAFFIC_TABLE}\n`;

/** Script that makes the table anew, last in its hooks: what a firewall drops is not counted. */
export function trafficText(vxlanPort: number): string {
  const sets = BOOKS.map(
    ({ set, type }) => `\tset ${set} { type ${type}; size ${COUNTED_MAX}; counter; }\n`,
  );
  const chains = (["in", "out"] as const).map((way) => {
    const rules = BOOKS.filter((book) => book.way === way).map(
      ({ match }) => `\t\tudp dport ${vxlanPort} ${match}\n`,
    );
    const hook = `type filter hook ${HOOKS[way]} priority 300; policy accept;`;
    return `\tchain ${way} {\n\t\t${hook}\n${rules.join("")}\t}\n`;
  });
  return `${TRAFFIC_GONE}table ${TRAFFIC_TABLE} {\n${sets.join("")}${chains.join("")}}\n`;
}

/** Bytes by address, of one way. */
export type Tally = ReadonlyMap<string, number>;

export interface Counted {
  /** Whether the table is as trafficText makes it. */
  readonly isWhole: boolean;
  readonly in: Tally;
  readonly out: Tally;
}

/** Reads `nft -j list table`; what is not understood counts as missing. */
export function readTraffic(json: string, vxlanPort: number): Counted {
  const tallies = { in: new Map<string, number>(), out: new Map<string, number>() };
  let rules = 0;
  for (const item of itemsOf(json)) {
    const rule = JSON.stringify(item.rule ?? null);
    if (rule.includes(`"right":${vxlanPort}}`) && /"@(in|out)[46]"/.test(rule)) rules += 1;
    const set = (item.set ?? {}) as { readonly name?: unknown; readonly elem?: unknown };
    const book = BOOKS.find((one) => one.set === set.name);
    if (book === undefined || !Array.isArray(set.elem)) continue;
    for (const one of set.elem) countElement(tallies[book.way], one);
  }
  return { isWhole: rules === BOOKS.length, ...tallies };
}

/** Script that makes the sets hold these addresses and no others; empty when they do. */
export function elementsText({ in: known }: Counted, wanted: ReadonlySet<string>): string {
  const missing = [...wanted].filter((address) => !known.has(address));
  const surplus = [...known.keys()].filter((address) => !wanted.has(address));
  return [...elementLines("delete", surplus), ...elementLines("add", missing)].join("");
}

function elementLines(verb: "add" | "delete", addresses: readonly string[]): string[] {
  return BOOKS.flatMap(({ set, type }) => {
    const some = addresses.filter((address) => address.includes(":") === (type === "ipv6_addr"));
    if (some.length === 0) return [];
    return [`${verb} element ${TRAFFIC_TABLE} ${set} { ${some.join(", ")} }\n`];
  });
}

/** `"192.0.2.1"` without a counter, else `{elem: {val, counter: {packets, bytes}}}`. */
function countElement(tally: Map<string, number>, element: unknown): void {
  if (typeof element === "string") {
    tally.set(element, 0);
    return;
  }
  const { elem } = (element ?? {}) as {
    readonly elem?: { readonly val?: unknown; readonly counter?: { readonly bytes?: unknown } };
  };
  const bytes = elem?.counter?.bytes;
  if (typeof elem?.val === "string") tally.set(elem.val, typeof bytes === "number" ? bytes : 0);
}

function itemsOf(json: string): readonly Readonly<Record<string, unknown>>[] {
  try {
    const { nftables } = JSON.parse(json) as { readonly nftables?: unknown };
    const items: unknown[] = Array.isArray(nftables) ? nftables : [];
    return items.flatMap((item) =>
      typeof item === "object" && item !== null ? [{ ...item }] : [],
    );
  } catch {
    return []; // No table, or another nft: it is made anew.
  }
}
