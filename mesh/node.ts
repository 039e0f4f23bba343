/**
 * One peer of the mesh: membership, replicated tables and questions over one pair of sockets.
 *
 * Law: what others said before a restart is kept and shown again only once its peer is seen, so a
 * daemon that starts in a partition forgets nothing. Own rows are written before `start`.
 */
import { messageOf } from "./errors.ts";
import type { Identity } from "./identity.ts";
import type { Member, Membership } from "./membership/membership.ts";
import type { Cancel, Clock, Datagrams, HostPort, Log, Random, Store, Streams } from "./ports.ts";
import { StreamRpc } from "./rpc.ts";
import { Replica } from "./tables/replica.ts";
import { Replicator } from "./tables/replicator.ts";
import { PacketChannels } from "./wire/packet.ts";

const STORE_KEY = "tables";
/** Remote rows are worth keeping, not worth a disk write each. */
const SAVE_DELAY_MS = 1000;

interface MeshPorts {
  readonly datagrams: Datagrams;
  readonly streams: Streams;
  readonly clock: Clock;
  readonly random: Random;
  readonly store: Store;
  readonly log: Log;
}

export class MeshNode {
  readonly membership: Membership;
  readonly tables: Replicator;
  readonly rpc: StreamRpc;
  readonly packets: PacketChannels;
  readonly #ports: MeshPorts;
  readonly #replica: Replica;
  readonly #cancels: Cancel[] = [];
  #cancelSave: Cancel | undefined;

  /** Reads back what the last life knew. `engine` builds the membership on the given channel. */
  static async open(
    ports: MeshPorts,
    identity: Identity,
    engine: (datagrams: Datagrams) => Membership,
  ): Promise<MeshNode> {
    const node = new MeshNode(ports, identity, engine);
    const stored = await ports.store.load(STORE_KEY);
    if (stored !== undefined) node.#replica.restore(stored);
    return node;
  }

  private constructor(
    ports: MeshPorts,
    identity: Identity,
    engine: (datagrams: Datagrams) => Membership,
  ) {
    this.#ports = ports;
    this.packets = new PacketChannels(ports.datagrams, ports.log);
    this.membership = engine(this.packets.channel("membership"));
    this.#replica = new Replica(identity.id, identity.incarnation);
    this.rpc = new StreamRpc(ports, {
      self: identity.id,
      addressOf: (peer) => this.member(peer)?.advertise,
    });
    this.tables = new Replicator(
      {
        datagrams: this.packets.channel("tables"),
        rpc: this.rpc,
        clock: ports.clock,
        random: ports.random,
        log: ports.log,
        members: () => this.membership.members(),
      },
      this.#replica,
    );
    this.tables.onChange = () => this.#armSave();
  }

  member(peer: string): Member | undefined {
    return this.membership.members().find((member) => member.id === peer);
  }

  async start(): Promise<void> {
    this.#cancels.push(this.membership.onEvent((event) => this.tables.membershipChanged(event)));
    this.tables.start();
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
    this.rpc.close();
    this.packets.close();
    this.#cancelSave?.();
    await this.#ports.store.save(STORE_KEY, this.#replica.dump());
  }

  #armSave(): void {
    if (this.#cancelSave !== undefined) return;
    this.#cancelSave = this.#ports.clock.timer("save-tables", SAVE_DELAY_MS, () => {
      this.#cancelSave = undefined;
      this.#ports.store.save(STORE_KEY, this.#replica.dump()).catch((error: unknown) => {
        this.#ports.log.error({ error: messageOf(error) }, "cannot save what other peers said");
      });
    });
  }
}
