/**
 * One peer of the mesh: membership, replicated tables and questions over one pair of sockets.
 *
 * Law: what others said before a restart is kept and shown again only once its peer is seen, so a
 * daemon that starts in a partition forgets nothing. Own rows are written before `start`.
 */
import type { Identity } from "./identity.ts";
import type { Member, Membership } from "./membership/membership.ts";
import type {
  Cancel,
  Clock,
  Datagrams,
  HostPort,
  Log,
  PeerId,
  Random,
  Store,
  Streams,
} from "./ports.ts";
import { StreamRpc } from "./rpc.ts";
import { TablesKeeper } from "./tables/keeper.ts";
import { Replica } from "./tables/replica.ts";
import { Replicator } from "./tables/replicator.ts";
import { Retention } from "./tables/retention.ts";
import { PacketChannels } from "./wire/packet.ts";
import type { Seal } from "./wire/seal.ts";
import { Strangers } from "./wire/seal-strangers.ts";
import { sealedStreams } from "./wire/seal-streams.ts";

interface MeshPorts {
  readonly datagrams: Datagrams;
  readonly streams: Streams;
  readonly clock: Clock;
  readonly random: Random;
  readonly store: Store;
  readonly log: Log;
  /** Absent in a plain mesh. */
  readonly seal?: Seal | undefined;
}

export class MeshNode {
  readonly membership: Membership;
  readonly tables: Replicator;
  readonly rpc: StreamRpc;
  readonly packets: PacketChannels;
  /** Who talks here without being understood. */
  readonly strangers: Strangers;
  readonly #keeper: TablesKeeper;
  readonly #retention: Retention;
  readonly #cancels: Cancel[] = [];
  /** Where a peer of a former life was, for who is no member; rows and config know more. */
  formerAddress: (peer: PeerId) => HostPort | undefined = () => undefined;

  /** Reads back what the last life knew. `engine` builds the membership on the given channel. */
  static async open(
    ports: MeshPorts,
    identity: Identity,
    engine: (datagrams: Datagrams) => Membership,
  ): Promise<MeshNode> {
    const node = new MeshNode(ports, identity, engine);
    await node.#keeper.load();
    return node;
  }

  private constructor(
    ports: MeshPorts,
    identity: Identity,
    engine: (datagrams: Datagrams) => Membership,
  ) {
    const { seal } = ports;
    this.strangers = new Strangers(ports.clock, ports.log);
    this.packets = new PacketChannels({ ...ports, seal, strangers: this.strangers });
    this.membership = engine(this.packets.channel("membership"));
    const replica = new Replica(identity.id, identity.incarnation);
    this.rpc = new StreamRpc(
      { ...ports, streams: sealedStreams({ ...ports, seal }) },
      {
        self: identity.id,
        addressOf: (peer) => this.member(peer)?.advertise,
      },
    );
    this.tables = new Replicator(
      {
        datagrams: this.packets.channel("tables"),
        rpc: this.rpc,
        clock: ports.clock,
        random: ports.random,
        log: ports.log,
        members: () => this.membership.members(),
        carried: this.membership.carry !== undefined,
      },
      replica,
    );
    this.membership.carry?.(this.tables.rider);
    this.#keeper = new TablesKeeper(ports, replica);
    this.tables.onChange = () => this.#keeper.changed();
    this.#retention = new Retention({
      ...ports,
      absent: () => this.tables.absent(),
      addressOf: (peer) => this.member(peer)?.advertise ?? this.formerAddress(peer),
      isTaken: (address) => this.tables.isTaken(address),
      forget: (peer, forAll) => this.tables.forget(peer, forAll),
    });
  }

  member(peer: string): Member | undefined {
    return this.membership.member(peer);
  }

  async start(): Promise<void> {
    this.#cancels.push(this.membership.onEvent((event) => this.tables.membershipChanged(event)));
    this.tables.start();
    this.#retention.start();
    await this.membership.start();
  }

  join(targets: readonly HostPort[]): void {
    this.membership.join(targets);
  }

  /** Tells the others, saves what is known, stops. The sockets stay their opener's. */
  async stop(): Promise<void> {
    await this.membership.leave();
    await this.membership.stop();
    for (const cancel of this.#cancels.splice(0)) cancel();
    this.tables.stop();
    this.#retention.stop();
    this.rpc.close();
    this.packets.close();
    await this.#keeper.close();
  }
}
