/** The tables below `status` as people read them: one pure function for each JSON reply. */
import type {
  ConnectionRow,
  KeysReply,
  LogReply,
  NetworkRow,
  PeerRow,
  Read,
  Replies,
} from "../control/api.ts";
import { bytes, count, duration, milliseconds, percent } from "./human.ts";
import { plain, type Style, type Tone } from "./style.ts";
import { type Cell, table } from "./table.ts";

const TONES: Readonly<Record<string, Tone>> = {
  alive: "good",
  established: "good",
  connected: "good",
  suspect: "doubtful",
  doubtful: "doubtful",
  trying: "doubtful",
  dead: "bad",
  lost: "bad",
  unplugged: "bad",
  left: "aside",
  closed: "aside",
};

const RENDERERS: {
  readonly [Name in Read]: (reply: Replies[Name], style: Style) => string;
} = {
  peers: ({ peers }, style) =>
    table(
      ["PEER", "ID", "ADDRESS", "STATE", "INCARNATION", "RTT", "DATA PATH"],
      peers.map((peer) => [
        peer.self ? `${peer.name} (self)` : peer.name,
        peer.id.slice(0, 8),
        peer.address,
        toned(peer.state),
        String(peer.incarnation),
        milliseconds(peer.rttMs),
        pathCell(peer),
      ]),
      style,
    ),
  connections: ({ connections }, style) =>
    table(
      [
        ...["PEER", "ADDRESS", "STATE", "RTT", "SINCE", "SEEN", "RELAYED", "MTU"],
        ...["IN", "OUT", "IN/S", "OUT/S", "OTHER ADDRESSES"],
      ],
      connections.map((connection) => [
        connection.peer,
        connection.address,
        toned(connection.state),
        milliseconds(connection.rttMs),
        duration(connection.sinceSeconds),
        connection.seenSeconds === null ? "" : duration(connection.seenSeconds),
        relayedCell(connection),
        String(connection.mtuBytes ?? ""),
        ...trafficCells(connection),
        connection.addresses.filter((other) => other !== connection.address).join(","),
      ]),
      style,
    ),
  targets: ({ targets }, style) =>
    table(
      ["TARGET", "STATE", "ATTEMPTS"],
      targets.map(({ address, state, attempts }) => [address, toned(state), String(attempts)]),
      style,
    ),
  networks: ({ networks }, style) =>
    table(
      [
        ...["NETWORK", "SUBNET", "VNI", "MTU", "MTU IS", "INTERNAL", "ENDPOINTS"],
        ...["HERE", "PRESENT ON", "CONFLICTS"],
      ],
      networks.map((network) => [
        network.name,
        network.subnet,
        String(network.vni),
        String(network.mtu),
        network.mtuReason,
        network.internal ? "yes" : "no",
        String(network.endpoints),
        hereCell(network),
        network.present.join(","),
        { text: network.conflicts.filter((one) => one !== network.why).join("; "), tone: "bad" },
      ]),
      style,
    ),
  endpoints: ({ endpoints }, style) =>
    table(
      ["NETWORK", "IP", "NAME", "PEER", "VTEP", "MAC", "STATE", "ALIASES"],
      endpoints.map((endpoint) => [
        endpoint.network,
        endpoint.ip,
        endpoint.name,
        endpoint.local ? `${endpoint.peer} (self)` : endpoint.peer,
        endpoint.vtep,
        endpoint.mac,
        toned(endpoint.state),
        endpoint.aliases.join(","),
      ]),
      style,
    ),
  groups: ({ groups, notTold }, style) => {
    const rows = groups.map(({ network, group, containers, peers }) => [
      network,
      group,
      containers.join(","),
      peers.join(","),
    ]);
    const more = notTold === 0 ? "" : `\n${notTold} joined here stay on this host: too many\n`;
    return table(["NETWORK", "GROUP", "MEMBERS HERE", "PEERS WITH MEMBERS"], rows, style) + more;
  },
  ipam: (reply, style) => ipamTable(reply, style),
  dns: ({ domain, records }, style) =>
    `domain ${domain}\n\n${table(
      ["NAME", "NETWORK", "TYPE", "ADDRESS", "PEER", "TTL"],
      records.map((record) => [
        record.name,
        record.network,
        record.type,
        record.address,
        record.peer,
        `${record.ttlSeconds}s`,
      ]),
      style,
    )}`,
};

function hereCell({ here, why }: NetworkRow): string | Cell {
  if (here) return "yes";
  return { text: why === null ? "no" : `no: ${why}`, tone: "doubtful" };
}

/** One reply as a table. */
export function renderRead<Name extends Read>(
  name: Name,
  reply: Replies[Name],
  style: Style = plain,
): string {
  return RENDERERS[name](reply, style);
}

/** The key ring, one line a key. */
export function keysTable({ encrypted, keys }: KeysReply, style: Style = plain): string {
  if (!encrypted) return "not encrypted; see --password-file in 'tsweave help launch'\n";
  return table(
    ["KEY", "USE", "PEERS THAT SEND WITH IT"],
    keys.map(({ id, sends, peers }) => [id, sends ? "send, accept" : "accept", String(peers)]),
    style,
  );
}

/** What is logged, one line a part, and where to. */
export function levelsTable({ level, parts, file }: LogReply, style: Style = plain): string {
  const rows = [["all others", level], ...parts.map((row) => [row.part, row.level])];
  return `log ${file ?? "on standard output"}\n\n${table(["PART", "LEVEL"], rows, style)}`;
}

/** A state word in the colour of its meaning. */
export function toned(state: string): Cell {
  const tone = TONES[state];
  return tone === undefined ? { text: state } : { text: state, tone };
}

/** In, out, and both a second; empty where not counted. */
function trafficCells({ traffic }: ConnectionRow): string[] {
  const values = [
    ...[traffic?.inBytes, traffic?.outBytes],
    ...[traffic?.inBytesPerSecond, traffic?.outBytesPerSecond],
  ];
  return values.map((value) => (value === undefined || value === null ? "" : bytes(value)));
}

/** `direct`, `vxlan`, or `vxlan: ` and why not directly, where that was wanted. */
function pathCell({ path }: PeerRow): string {
  if (path === null) return "";
  const { kind, networks } = path;
  const tried = networks.find(({ direct, sinceSeconds }) => !direct && sinceSeconds !== null);
  const reason = (tried ?? networks.find(({ direct }) => !direct))?.why ?? null;
  return kind === "direct" || reason === null ? kind : `${kind}: ${reason}`;
}

/** Its gossip: `no`, `yes, silent 2m 5s`, or nothing while it is not known. */
function relayedCell({ direct, fault, directSinceSeconds }: ConnectionRow): Cell {
  if (direct === null) return { text: "" };
  if (direct) return { text: "no", tone: "good" };
  const since = duration(directSinceSeconds ?? 0);
  return { text: `yes, ${fault ?? "silent"} ${since}`, tone: "bad" };
}

function ipamTable({ pools, roster }: Replies["ipam"], style: Style): string {
  const owners = pools.flatMap(({ subnet, owned }) => {
    const total = owned.reduce((sum, { addresses }) => sum + addresses, 0);
    return owned.map((owner) => [
      subnet,
      owner.peer,
      `${owner.addresses} (${percent(owner.addresses, total)})`,
      String(owner.used),
      toned(owner.reachable ? "alive" : "dead"),
      rangesText(owner.ranges),
    ]);
  });
  const titles = ["SUBNET", "PEER", "ADDRESSES", "USED", "STATE", "RANGES"];
  const conflicts = pools.flatMap(({ conflicts }) => conflicts);
  const found = [table(titles, owners, style), rosterText(roster, style)];
  if (conflicts.length > 0) {
    const rows = conflicts.map(({ ip, key, owner }) => [
      { text: ip, tone: "bad" as const },
      key,
      owner,
    ]);
    found.push(table(["CONFLICT", "USED BY", "OWNER"], rows, style));
  }
  return found.join("\n");
}

/** Who decides on members, and what is not finished. */
function rosterText({ number, members, waits }: Replies["ipam"]["roster"], style: Style): string {
  const electors = members.filter(({ elector }) => elector).map(({ name }) => name);
  const size = count(members.length, "member");
  const decided = `roster ${number}: ${size}, decided by ${electors.join(", ")}\n`;
  const head = number === null ? "no roster yet\n" : decided;
  if (waits.length === 0) return head;
  const rows = waits.map(({ what, about, waitingFor, ageMs, text }) => [
    { text: what, tone: "doubtful" as const },
    about.join(","),
    waitingFor.join(","),
    duration(Math.floor(ageMs / 1000)),
    text,
  ]);
  return `${head}\n${table(["PENDING", "ABOUT", "WAITS FOR", "SINCE", "WHY"], rows, style)}`;
}

/** Long lists of ranges are the JSON's business. */
function rangesText(ranges: readonly string[]): string {
  const more = ranges.length - 2;
  const shown = ranges.slice(0, 2).join(" ");
  return more > 0 ? `${shown} and ${more} more` : shown;
}
