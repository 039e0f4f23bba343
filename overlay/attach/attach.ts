/**
 * Endpoints without Docker: attach, detach, expose, hide, and what keeps them right.
 *
 * Laws: one change at a time; what is remembered is in the ledger and nowhere else, so a daemon
 * that was killed goes on where the kernel and the ledger stand.
 */
import { parseCidr } from "../../ipalloc/index.ts";
import type { Cancel } from "../../mesh/index.ts";
import { messageOf, type PeerId, TsweaveError } from "../../mesh/index.ts";
import type { HeldNetwork } from "../ledger.ts";
import type { LocalEndpoint } from "../model.ts";
import type { ReconcileStatus } from "../reconcile.ts";
import { SerialQueue } from "../serial.ts";
import { addressOn } from "./choice.ts";
import { TargetKeeper } from "./keeper.ts";
import { AttachmentLife, type LifePorts } from "./life.ts";
import type { AttachedEndpoint, Attachment, AttachWish, ExposeWish, Target } from "./model.ts";
import {
  type DefaultNetwork,
  type KnownNetwork,
  OwnNetworks,
  type OwnNetworksPorts,
} from "./own-networks.ts";
import type { FindContainer } from "./ports.ts";
import { hostTarget, locate, resolveTarget } from "./resolve.ts";

export type AttachPorts = Omit<LifePorts, "networks"> &
  Pick<OwnNetworksPorts, "plan"> & {
    /** What the mesh knows of a network by its name. */
    readonly known: (name: string) => KnownNetwork | undefined;
    readonly findContainer: FindContainer;
    readonly kernel: () => Pick<ReconcileStatus, "passes" | "unplugged">;
  };

/** A target is looked at so often; a namespace that goes is noticed by that alone. */
const TURN_MS = 1000;

export class Attach {
  readonly #ports: AttachPorts;
  readonly #networks: OwnNetworks;
  readonly #life: AttachmentLife;
  readonly #keeper: TargetKeeper;
  readonly #queue = new SerialQueue();
  readonly #hasDns: boolean;
  #cancelTimer: Cancel | undefined;
  #stopped = false;

  constructor(
    ports: AttachPorts,
    options: {
      readonly self: PeerId;
      readonly defaultNetwork: DefaultNetwork;
      /** False: nothing of ours answers names in any target. */
      readonly dns: boolean;
    },
  ) {
    this.#ports = ports;
    this.#hasDns = options.dns;
    this.#networks = new OwnNetworks(ports, options.defaultNetwork, options.self);
    this.#life = new AttachmentLife({ ...ports, networks: this.#networks });
    this.#keeper = new TargetKeeper({ ...ports, networks: this.#networks, life: this.#life });
  }

  /**
   * Publishes what the ledger holds and undoes what was not finished or is of a former boot; to be
   * done before anything is said to peers.
   */
  async start(): Promise<void> {
    const { ledger, log } = this.#ports;
    await this.#networks.restore();
    for (const attachment of ledger.attachments()) {
      try {
        await this.#restore(attachment);
      } catch (error) {
        log.warn({ endpoint: attachment.id, reason: messageOf(error) }, "not restored yet");
      }
    }
    this.#arm();
  }

  /** Ends following. Targets, kernel and ledger stay as they are. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    await this.#queue.run(async () => undefined);
  }

  /**
   * Gives a target an endpoint; asked again with the same, it tells the one that is there.
   * @throws TsweaveError, having changed nothing.
   */
  async attach(wish: AttachWish): Promise<AttachedEndpoint> {
    return await this.#queue.run(async () => {
      const target = await resolveTarget(wish.target, this.#ports);
      return await this.#make({ ...wish, dns: wish.dns && this.#hasDns }, target);
    });
  }

  /** Gives the networks of attachments the VNI and MTU that the mesh now says. Never rejects. */
  async replan(): Promise<void> {
    await this.#queue.run(() => this.#networks.replan());
  }

  /** Gives the host itself an address in the subnet. @throws as `attach`. */
  async expose(wish: ExposeWish): Promise<AttachedEndpoint> {
    return await this.#queue.run(async () => {
      const target = await hostTarget(this.#ports.namespaces);
      return await this.#make({ ...wish, target: "host", names: [], dns: false }, target);
    });
  }

  /** Takes endpoints away, of one network or of all. @throws TsweaveError NOT_FOUND. */
  async detach(word: string, network?: string): Promise<readonly AttachedEndpoint[]> {
    return await this.#queue.run(async () => {
      const found = await this.#attachedTo(word);
      return await this.#remove(found, network, `${word.slice(0, 64)} is not attached`);
    });
  }

  /** Takes the host's addresses back. @throws TsweaveError NOT_FOUND. */
  async hide(network?: string): Promise<readonly AttachedEndpoint[]> {
    return await this.#queue.run(async () => {
      const found = this.#ports.ledger.attachments().filter(({ target }) => target.kind === "host");
      return await this.#remove(found, network, "the host is not exposed");
    });
  }

  /** Path of the namespace that a word names, as for `attach`. @throws TsweaveError NOT_FOUND. */
  async locate(word: string): Promise<string> {
    return (await locate(word, this.#ports)).path;
  }

  /** What is attached now, in the order of its making. */
  list(): readonly AttachedEndpoint[] {
    return this.#joined().map((attachment) => this.#told(attachment));
  }

  /** Networks that only attachments need here. */
  networks(): readonly HeldNetwork[] {
    return this.#networks.extra();
  }

  /** From before they are plugged to after they are unplugged. */
  endpoints(): readonly LocalEndpoint[] {
    return this.#ports.ledger
      .attachments()
      .map(({ id, network, ip, mac }) => ({ id, network, ip, mac }));
  }

  /** What a person should know. */
  problems(): readonly { readonly code: string; readonly text: string; readonly next: string }[] {
    return [...this.#keeper.troubles()].map(([id, reason]) => {
      const label = this.#ports.ledger.attachment(id)?.target.label ?? id;
      const next = `tsweave detach ${label}, then attach it again`;
      return { code: "ATTACHMENT", text: `${label}: ${reason}`, next };
    });
  }

  async #restore(attachment: Attachment): Promise<void> {
    const isOver = !attachment.joined || !(await this.#keeper.ofThisBoot(attachment));
    if (isOver) return await this.#life.remove(attachment);
    this.#life.publish(attachment);
    const network = this.#networks.named(attachment.network);
    // A helper that hangs must not hold up the start.
    if (network !== undefined) void this.#life.hook(attachment, network);
  }

  async #make(wish: AttachWish, target: Target): Promise<AttachedEndpoint> {
    const name = wish.network ?? this.#networks.defaultName;
    const there = this.#joined().find(
      (one) => one.network === name && isSameTarget(one.target, target),
    );
    if (there !== undefined) {
      this.#refuseOther(there, wish);
      return this.#told(there);
    }
    this.#refuseDockers(name, target);
    await this.#networks.follow();
    const network = await this.#networks.use(name);
    try {
      return this.#told(await this.#life.make(wish, target, network));
    } catch (error) {
      await this.#networks.settle(name);
      throw error;
    }
  }

  /** @throws TsweaveError BAD_REQUEST where Docker has the target on the network. */
  #refuseDockers(name: string, { path, label }: Target): void {
    const { ledger } = this.#ports;
    const holder = ledger.endpoints().find(({ joined, sandboxKey, networkId }) => {
      return joined && sandboxKey === path && ledger.network(networkId)?.name === name;
    });
    if (holder === undefined) return;
    const text = `Docker has ${label} on network ${name} with ${holder.ip} already`;
    throw new TsweaveError("BAD_REQUEST", text, {
      hint: `to take it off: docker network disconnect ${name} ${label}`,
    });
  }

  /** @throws TsweaveError BAD_REQUEST where the wish is not what is there. */
  #refuseOther(there: Attachment, wish: AttachWish): void {
    const network = this.#networks.named(there.network);
    const ip =
      wish.ip === undefined || network === undefined ? there.ip : addressOn(network, wish.ip);
    const device = wish.device ?? there.device;
    const mac = wish.mac?.toLowerCase() ?? there.mac;
    const isSame = ip === there.ip && device === there.device && mac === there.mac;
    if (isSame && wish.names.every((one) => there.names.includes(one.toLowerCase()))) return;
    const { label, kind } = there.target;
    const undo = kind === "host" ? "hide" : `detach ${label}`;
    const text = `${label} has ${there.ip} on network ${there.network} already`;
    throw new TsweaveError("BAD_REQUEST", text, {
      hint: `tsweave ${undo} --network ${there.network}, then again`,
    });
  }

  async #remove(
    found: readonly Attachment[],
    network: string | undefined,
    text: string,
  ): Promise<readonly AttachedEndpoint[]> {
    const chosen = found.filter((one) => network === undefined || one.network === network);
    if (chosen.length === 0) {
      const where = network === undefined ? "" : ` to network ${network.slice(0, 64)}`;
      throw new TsweaveError("NOT_FOUND", text + where, { hint: "see 'tsweave ps'" });
    }
    const told = chosen.map((attachment) => this.#told(attachment));
    for (const attachment of chosen) await this.#life.remove(attachment);
    return told;
  }

  /** By what it was attached as, so that a target that is gone can be named; else by what it is. */
  async #attachedTo(word: string): Promise<readonly Attachment[]> {
    const paths = [word, `/run/netns/${word}`, `/proc/${word}/ns/net`];
    const isId = /^[0-9a-f]{4,64}$/.test(word);
    const known = this.#joined().filter(({ id, target }) => {
      if (target.kind === "host") return false;
      if (paths.includes(target.label) || paths.includes(target.path)) return true;
      return isId && (target.containerId.startsWith(word) || id.startsWith(word));
    });
    if (known.length > 0) return known;
    const target = await resolveTarget(word, this.#ports).catch((error: unknown) => {
      if (error instanceof TsweaveError) return undefined;
      throw error;
    });
    if (target === undefined) return [];
    return this.#joined().filter((one) => isSameTarget(one.target, target));
  }

  #joined(): readonly Attachment[] {
    return this.#ports.ledger.attachments().filter(({ joined }) => joined);
  }

  #told(attachment: Attachment): AttachedEndpoint {
    const { id, target, network, ip, mac, device, names, gatewayCidr, resolver } = attachment;
    const subnet = this.#networks.named(network)?.subnet;
    const prefix = subnet === undefined ? 32 : parseCidr(subnet).prefix;
    const cidr = `${ip}/${prefix}`;
    const gateway = gatewayCidr === "" ? null : gatewayCidr;
    const { kind, label } = target;
    return { id, kind, target: label, network, ip, cidr, mac, device, names, gateway, resolver };
  }

  #arm(): void {
    if (this.#stopped) return;
    this.#cancelTimer = this.#ports.clock.timer("attachments", TURN_MS, () => {
      void this.#queue.run(() => this.#keeper.turn()).finally(() => this.#arm());
    });
  }
}

function isSameTarget(one: Target, other: Target): boolean {
  if (one.kind === "host" || other.kind === "host") return one.kind === other.kind;
  return one.inode === other.inode && one.cookie === other.cookie && one.bootId === other.bootId;
}
