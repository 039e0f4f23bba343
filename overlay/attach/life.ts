/**
 * One attachment made, connected again, and undone.
 *
 * Laws: the ledger knows of an attachment before the kernel does, and forgets it after; whatever
 * fails or crashes in between is undone, each step tolerating that it was never done; the address
 * goes back only when nothing answers at it any more.
 */
import { parseCidr } from "../../ipalloc/index.ts";
import {
  type Clock,
  type Log,
  messageOf,
  type Random,
  TIMES,
  TsweaveError,
} from "../../mesh/index.ts";
import { announced } from "../announce.ts";
import { within } from "../docker/deadline.ts";
import type { AddressBook, Publisher, SandboxDns } from "../docker/ports.ts";
import type { StepFailure } from "../failures.ts";
import type { HeldNetwork, Ledger } from "../ledger.ts";
import { addressOn, choose, macFor, namesFor } from "./choice.ts";
import { type EndStep, endSteps, GATEWAY_BRIDGE, gatewaySteps } from "./end-steps.ts";
import { nextGatewayCidr } from "./gateway.ts";
import { type Attachment, type AttachWish, leaseKey, type Target } from "./model.ts";
import type { AttachDatapath, OwnNetworks } from "./own-networks.ts";
import type { Namespaces } from "./ports.ts";

export interface LifePorts {
  readonly ledger: Ledger;
  readonly networks: OwnNetworks;
  readonly addresses: AddressBook;
  readonly datapath: AttachDatapath;
  readonly publisher: Publisher;
  readonly dns: SandboxDns;
  readonly namespaces: Namespaces;
  /** Subnets that tsweave_gw must not overlap, beside the host's routes. */
  readonly subnets: () => readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export class AttachmentLife {
  readonly #ports: LifePorts;
  /** Attachments whose target has our sockets inside. BOUNDED: attachments of the ledger. */
  readonly #hooked = new Set<string>();

  constructor(ports: LifePorts) {
    this.#ports = ports;
  }

  /** Makes an endpoint for a target. @throws TsweaveError, having undone everything. */
  async make(wish: AttachWish, target: Target, network: HeldNetwork): Promise<Attachment> {
    const { ledger, random, log } = this.#ports;
    const id = Buffer.from(random.bytes(32)).toString("hex");
    const draft = await this.#draft(id, wish, target, network);
    try {
      await ledger.putAttachment(draft);
      await this.connect(draft, network);
      const made = { ...draft, joined: true };
      await ledger.putAttachment(made);
      this.publish(made);
      await Promise.all([announced(this.#ports), this.hook(made, network)]);
      log.info({ endpoint: id, target: target.label, ip: made.ip }, "attached");
      return made;
    } catch (error) {
      await this.remove(draft).catch((failure: unknown) => {
        log.warn({ endpoint: id, reason: messageOf(failure) }, "an attachment is not undone yet");
      });
      throw error;
    }
  }

  /** Veth pair, the end inside the target, and what leads outside. Also again, when it is lost. */
  async connect(attachment: Attachment, network: HeldNetwork): Promise<void> {
    const { id, ip, mac, network: name } = attachment;
    await this.#ports.datapath.plug({ id, network: name, ip, mac }, network);
    await this.#apply(endSteps(attachment, parseCidr(network.subnet).prefix), attachment);
    if (attachment.gatewayCidr !== "") await this.gateway(id);
  }

  /** Its rows, and its names. */
  publish({ id, network, ip, mac, names }: Attachment): void {
    const { publisher } = this.#ports;
    publisher.endpoint({ id, network, ip, mac });
    publisher.names(id, { network, ip, names, ports: [], isUnhealthy: false });
  }

  isHooked(id: string): boolean {
    return this.#hooked.has(id);
  }

  /** Answers names inside the target. Never rejects: an endpoint without names is one still. */
  async hook(attachment: Attachment, network: Pick<HeldNetwork, "internal">): Promise<void> {
    const { dns, log } = this.#ports;
    const { id, target, resolver } = attachment;
    if (resolver === "none" || this.#hooked.has(id)) return;
    this.#hooked.add(id);
    try {
      await dns.attach({
        key: target.path,
        endpointId: id,
        network: attachment.network,
        // Where nobody else answers, what is not ours must fail soon.
        internal: network.internal || resolver === "own",
        links: [],
        waitFor: false,
      });
    } catch (error) {
      log.warn({ endpoint: id, reason: messageOf(error) }, "no name hook in the target");
    }
  }

  /** Lets the target's namespace go. Never rejects. */
  async unhook(id: string): Promise<void> {
    if (!this.#hooked.delete(id)) return;
    const { dns, clock, log } = this.#ports;
    const work = dns.detach(id);
    await within(clock, "name unhook", TIMES.sandboxHookMs, work).catch((error: unknown) => {
      log.warn({ endpoint: id, reason: messageOf(error) }, "target not let go");
    });
  }

  /** Undoes an attachment, whatever is left of it. */
  async remove(attachment: Attachment): Promise<void> {
    const { ledger, networks, addresses, datapath, publisher, log } = this.#ports;
    const { id, network: name, ip, target } = attachment;
    publisher.endpointGone(id);
    const held = ledger.attachment(id);
    if (held?.joined === true) await ledger.putAttachment({ ...held, joined: false });
    await this.unhook(id);
    const network = networks.named(name);
    if (network !== undefined) await datapath.unplug(id, network);
    if (attachment.gatewayCidr !== "") await this.gateway();
    if (network !== undefined) await addresses.release(network.subnet, ip);
    await ledger.dropAttachment(id);
    await networks.settle(name);
    log.info({ endpoint: id, target: target.label, ip }, "detached");
  }

  /**
   * Brings tsweave_gw to what the attachments need: those that are made, and `mine`. What fails of
   * another's pair is logged: its target may be gone.
   */
  async gateway(mine?: string): Promise<void> {
    const { ledger, namespaces, log } = this.#ports;
    const users = ledger.attachments().filter(({ id, joined }) => joined || id === mine);
    const steps = gatewaySteps(users, await namespaces.look(namespaces.hostPath));
    refuse(await namespaces.apply(steps.bridge));
    await namespaces.passFirewall(users.some(({ gatewayCidr }) => gatewayCidr !== ""));
    for (const [id, own] of steps.pairs) {
      const failures = await namespaces.apply(own);
      if (id === mine) refuse(failures);
      const [failed] = failures;
      if (failed === undefined) continue;
      const fields = { endpoint: id, step: failed.step.kind, reason: failed.error };
      log.warn(fields, "a target has no way outside");
    }
  }

  /** What the attachment will be; its address is taken, nothing else is changed. */
  async #draft(
    id: string,
    wish: AttachWish,
    target: Target,
    network: HeldNetwork,
  ): Promise<Attachment> {
    const { addresses, namespaces } = this.#ports;
    const isHost = target.kind === "host";
    const view = await namespaces.look(isHost ? namespaces.hostPath : target.path);
    const { device, gatewayDevice, resolver } = choose(wish, network, target, view);
    const names = namesFor(wish.names, target);
    macFor(wish.mac, network.gateway);
    const gatewayCidr = gatewayDevice === "" ? "" : await this.#gatewayCidr();
    const key = leaseKey(id);
    const { subnet } = network;
    const wished = wish.ip === undefined ? undefined : addressOn(network, wish.ip);
    const ip = wished ?? (await addresses.allocate(subnet, key, {}));
    if (wished !== undefined) await addresses.claim(subnet, key, wished);
    const mac = macFor(wish.mac, ip);
    const ends = { device, gatewayDevice, gatewayCidr, resolver };
    return { id, network: network.name, ip, mac, names, target, ...ends, joined: false };
  }

  async #gatewayCidr(): Promise<string> {
    const { ledger, namespaces, subnets } = this.#ports;
    const { routes } = await namespaces.look(namespaces.hostPath);
    return nextGatewayCidr(ledger.attachments(), routes, subnets());
  }

  async #apply(steps: readonly EndStep[], { target }: Attachment): Promise<void> {
    const [failed] = await this.#ports.namespaces.apply(steps);
    if (failed === undefined) return;
    const text = `${target.label}: ${failed.step.kind}: ${failed.error}`;
    throw new TsweaveError("COMMAND_FAILED", text, {
      hint: "see whether the target still exists, then try again",
    });
  }
}

/** @throws TsweaveError COMMAND_FAILED for the first failure. */
function refuse(failures: readonly StepFailure<EndStep>[]): void {
  const [failed] = failures;
  if (failed === undefined) return;
  const text = `${GATEWAY_BRIDGE}: ${failed.step.kind}: ${failed.error}`;
  throw new TsweaveError("COMMAND_FAILED", text, { hint: "use --no-gateway" });
}
