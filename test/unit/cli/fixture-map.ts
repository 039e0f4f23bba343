/** A mesh of any size as the map's facts, with some trouble in it, for the map's tests. */
import type {
  ConnectionRow,
  EndpointRow,
  NetworkRow,
  PeerRow,
  Traffic,
} from "../../../cli/control/api.ts";
import type { MapFacts } from "../../../cli/web/map-model.ts";
import { FakeBackend, PROBLEM, statusWith } from "./fixture-facts.ts";

export interface MeshSize {
  readonly hosts: number;
  readonly containers: number;
  readonly networks: number;
}

/** What a hostile image or person may call things. */
export const EVIL = "<img src=x onerror=alert(1)>\u202e\n\"'</script><b>";

type Changed<Row> = { -readonly [Name in keyof Row]: Row[Name] };

const hostName = (at: number): string => `host${at + 1}`;
const hex = (at: number, digits: number): string => at.toString(16).padStart(digits, "0");

/** Rows may be changed by a test, as the mesh changes them. */
export class MeshFacts extends FakeBackend {
  readonly peerRows: Changed<PeerRow>[];
  readonly connectionRows: Changed<ConnectionRow>[];
  readonly networkRows: NetworkRow[];
  endpointRows: Changed<EndpointRow>[];
  reads = 0;

  constructor({ hosts, containers, networks }: MeshSize) {
    super();
    this.problems = [];
    const range = (length: number): number[] => Array.from({ length }, (_, at) => at);
    this.networkRows = range(networks).map((at) => networkRow(at, range(hosts).map(hostName)));
    this.peerRows = range(hosts).map(peerRow);
    this.connectionRows = this.peerRows.slice(1).map(connectionRow);
    this.endpointRows = range(containers).flatMap((at) => endpointRows(at, hosts, networks));
  }

  override readonly status = () => {
    this.reads += 1;
    const whole = statusWith(this.problems);
    return { ...whole, peer: { ...whole.peer, id: hex(1, 32) } };
  };
  override readonly peers = (() => this.peerRows) as unknown as FakeBackend["peers"];
  override readonly connections = (() =>
    this.connectionRows) as unknown as FakeBackend["connections"];
  override readonly networks = (() => this.networkRows) as unknown as FakeBackend["networks"];
  override readonly endpoints = (() => this.endpointRows) as unknown as FakeBackend["endpoints"];

  get facts(): MapFacts {
    return this;
  }

  /** One host in doubt, one dead, one not reached directly; a container without a veth pair. */
  trouble(): void {
    const [, , second, third] = this.connectionRows;
    const [self, , , doubtful, dead] = this.peerRows;
    if (doubtful !== undefined) doubtful.state = "suspect";
    if (dead !== undefined) dead.state = "dead";
    if (second !== undefined) second.state = "doubtful";
    if (third !== undefined) third.state = "lost";
    const [indirect] = this.connectionRows;
    if (indirect !== undefined) Object.assign(indirect, { direct: false, fault: "refused" });
    for (const row of this.endpointRows) {
      if (row.peer === doubtful?.name) row.state = "suspect";
      if (row.peer === dead?.name) row.state = "dead";
    }
    const own = this.endpointRows.find(({ peer }) => peer === self?.name);
    if (own !== undefined) own.state = "unplugged";
    this.problems = [PROBLEM];
  }
}

const NAMES = ["web", "db", "cache", "api", "queue", "mail", "search", "worker", "proxy", "cron"];
const NETWORKS = ["tsweave", "backend", "frontend", "metrics", "build", "mail", "lab", "guest"];

function peerRow(at: number): Changed<PeerRow> {
  return {
    id: hex(at + 1, 32),
    name: hostName(at),
    address: `192.168.48.${11 + at}:6783`,
    state: "alive",
    incarnation: 3,
    rttMs: at === 0 ? null : 0.31 + ((at * 37) % 90) / 100,
    self: at === 0,
    path: at === 0 ? null : { kind: "vxlan", networks: [] },
  };
}

function connectionRow({ name, id, address, rttMs }: PeerRow): Changed<ConnectionRow> {
  return {
    peer: name,
    id,
    address,
    state: "established",
    rttMs,
    sinceSeconds: 40,
    addresses: [address],
    direct: true,
    directSinceSeconds: 40,
    fault: null,
    seenSeconds: 1,
    mtuBytes: 1450,
    traffic: traffic(Number(address.split(".")[3]?.split(":")[0])),
  };
}

/** From nothing to 90 MB a second. */
function traffic(host: number): Traffic {
  const rate = host % 3 === 0 ? 0 : Math.round(10 ** (host % 8));
  const rates = { inBytesPerSecond: rate, outBytesPerSecond: 9 * rate };
  return { inBytes: 100 * rate, outBytes: 900 * rate, ...rates };
}

function networkRow(at: number, present: readonly string[]): NetworkRow {
  const name = NETWORKS[at] ?? `net${at + 1}`;
  const subnet = `10.${32 + at}.0.0/16`;
  const vni = at === 0 ? 256 : 9_000_000 + at;
  const counts = { endpoints: 0, local: 0, here: true, why: null };
  const mtu = { mtu: 1450, mtuReason: "eth0 of host1 has 1500" };
  return { name, vni, subnet, ...mtu, internal: at === 2, ...counts, present, conflicts: [] };
}

/** Every tenth container is on two networks where there are so many. */
function endpointRows(at: number, hosts: number, networks: number): Changed<EndpointRow>[] {
  const first = (at * 7 + Math.floor(at / 40)) % networks;
  const isDouble = networks > 1 && at % 10 === 9;
  const on = isDouble ? [first, (first + 1) % networks] : [first];
  const host = at % hosts;
  return on.map((network) => ({
    network: NETWORKS[network] ?? `net${network + 1}`,
    id: hex(10_000 * (network + 1) + at, 64),
    name: `${NAMES[at % NAMES.length]}-${Math.floor(at / NAMES.length) + 1}`,
    aliases: [hex(at + 4096, 12)],
    ip: `10.${32 + network}.${at >> 8}.${at & 255}`,
    mac: "02:42:0a:20:00:02",
    peer: hostName(host),
    vtep: `192.168.48.${11 + host}`,
    local: host === 0,
    state: "alive",
  }));
}
