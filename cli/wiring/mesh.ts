/** Opens this peer: state directory, identity, sockets, membership, tables, presence. */
import {
  type Clock,
  Contacts,
  type EngineName,
  type HostPort,
  type LatencyClass,
  type Log,
  type MembershipEngine,
  MeshNode,
  nextIdentity,
  openKeyring,
  type PeerId,
  Presence,
  type Random,
  type Store,
  settleStateFormat,
} from "../../mesh/index.ts";
import { FileStore } from "../../mesh/io/file-store.ts";
import { createMembershipEngine } from "../../mesh/io/membership-engine.ts";
import { lockState } from "../../mesh/io/state-lock.ts";
import { openTcp } from "../../mesh/io/tcp.ts";
import { openUdp } from "../../mesh/io/udp.ts";
import type { Secret } from "../password.ts";
import { VERSION } from "../version.ts";
import { MeshKeys } from "./mesh-keys.ts";
import type { Stops } from "./stops.ts";

export interface MeshOptions {
  readonly stateDir: string;
  /** Undefined: the mesh is not encrypted. */
  readonly password: Secret | undefined;
  readonly name: string;
  readonly membership: EngineName;
  readonly bind: HostPort;
  readonly advertise: HostPort;
  /** All addresses of this host, the advertised one first. */
  readonly hosts: readonly string[];
  readonly latency: LatencyClass;
  readonly peers: readonly HostPort[];
}

export interface OpenMesh {
  readonly node: MeshNode;
  readonly engine: MembershipEngine;
  readonly presence: Presence;
  readonly store: Store;
  readonly keys: MeshKeys;
  /** Addresses to try beside those that launch was given. */
  readonly contacts: Contacts;
  readonly self: PeerId;
  readonly incarnation: number;
  /** This host's address as peers are told it now. */
  readonly address: () => HostPort;
  /** Turns a name into "this host's rows are complete": from then on others may ask. */
  readonly start: () => Promise<void>;
}

/** Nothing is said to anyone before `start`. */
export async function openMesh(
  ports: { clock: Clock; random: Random; log: Log; stops: Stops },
  options: MeshOptions,
): Promise<OpenMesh> {
  const { clock, random, log, stops } = ports;
  const store = await FileStore.open(options.stateDir, log);
  const unlock = await lockState(options.stateDir);
  stops.add("state lock", unlock);
  stops.add("store", () => store.close());
  await settleStateFormat(store, VERSION);
  const ring = await openKeyring(store, options.password?.reveal());
  const keys = new MeshKeys({ clock, random, log }, ring);
  const datagrams = await openUdp(options.bind, log);
  stops.add("udp", () => datagrams.close());
  const streams = await openTcp(options.bind, log);
  stops.add("tcp", () => streams.close());
  const { id, incarnation } = await nextIdentity({ store, clock, random });
  const contacts = await Contacts.open({ store, clock, log });
  stops.add("contacts", () => contacts.close());
  const { name, advertise, hosts } = options;
  const self = { id, name, incarnation, advertise, hosts };
  const engines: MembershipEngine[] = [];
  const node = await MeshNode.open(
    { datagrams, streams, clock, random, store, log: log.child({ part: "mesh" }), seal: keys.seal },
    { id, incarnation },
    (channel) => {
      const part = log.child({ part: options.membership });
      const ports = { datagrams: channel, streams, clock, random, log: part };
      const engine = createMembershipEngine(options.membership, ports, {
        self,
        latency: options.latency,
        targets: [...options.peers, ...contacts.targets()],
      });
      engines.push(engine);
      return engine;
    },
  );
  node.formerAddress = (peer) => origins(node, options.bind.port).get(peer);
  const presence = new Presence({
    clock,
    streams,
    log,
    member: (id) => node.member(id),
    origins: () => origins(node, options.bind.port),
  });
  const start = async (): Promise<void> => {
    node.membership.onEvent((event) => {
      presence.membershipChanged(event);
      contacts.membershipChanged(event);
    });
    presence.start();
    stops.add("presence", () => presence.stop());
    await node.start();
    stops.add("mesh", () => node.stop());
  };
  const [engine] = engines;
  if (engine === undefined) throw new Error("the mesh node built no membership engine");
  const address = () => node.membership.member(id)?.advertise ?? advertise;
  return { node, engine, presence, store, keys, contacts, self: id, incarnation, address, start };
}

/** Peers with endpoint rows and the underlay address that their rows name. */
function origins(node: MeshNode, port: number): Map<PeerId, HostPort> {
  const found = new Map<PeerId, HostPort>();
  for (const { origin, value } of node.tables.rows("endpoints")) {
    const vtep = Array.isArray(value) ? value[3] : undefined;
    if (typeof vtep === "string") found.set(origin, { host: vtep, port });
  }
  return found;
}
