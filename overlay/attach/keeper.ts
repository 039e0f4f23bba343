/**
 * Follows the targets: connects again what lost its pair, moves with a namespace that has another
 * name, and lets go what is gone.
 *
 * Law: each turn looks at everything and acts by the verdict alone (verdict.ts), so a crash at any
 * point costs one turn.
 */
import { type Log, messageOf } from "../../mesh/index.ts";
import type { Ledger } from "../ledger.ts";
import type { ReconcileStatus } from "../reconcile.ts";
import type { AttachmentLife } from "./life.ts";
import type { Attachment } from "./model.ts";
import type { AttachDatapath, OwnNetworks } from "./own-networks.ts";
import type { Namespaces } from "./ports.ts";
import { judge, type Sighting } from "./verdict.ts";

export interface KeeperPorts {
  readonly ledger: Ledger;
  readonly networks: OwnNetworks;
  readonly life: AttachmentLife;
  readonly datapath: AttachDatapath;
  readonly namespaces: Namespaces;
  /** What the last passes over the kernel saw. */
  readonly kernel: () => Pick<ReconcileStatus, "passes" | "unplugged">;
  readonly log: Log;
}

/** A pair that was just made is seen by the second pass from now. */
const PASSES_TO_SEE = 2;
/** Turns between looks at tsweave_gw. */
const GATEWAY_TURNS = 30;

export class TargetKeeper {
  readonly #ports: KeeperPorts;
  #bootId: string | undefined;
  #turns = 0;
  /** Id → passes when it was connected again. BOUNDED: attachments of the ledger. */
  readonly #connectedAt = new Map<string, number>();
  /** Why an attachment is not as it should be. BOUNDED: attachments of the ledger. */
  readonly #troubles = new Map<string, string>();

  constructor(ports: KeeperPorts) {
    this.#ports = ports;
  }

  /** Ids with what is wrong with them. */
  troubles(): ReadonlyMap<string, string> {
    return this.#troubles;
  }

  /** One turn. Never rejects. */
  async turn(): Promise<void> {
    const { ledger, networks, life } = this.#ports;
    await this.#try("networks", () => networks.follow());
    for (const attachment of ledger.attachments()) {
      await this.#try(attachment.id, () => this.#follow(attachment));
    }
    for (const id of this.#troubles.keys()) {
      if (ledger.attachment(id) === undefined && id !== "gateway" && id !== "networks") {
        this.#troubles.delete(id);
        this.#connectedAt.delete(id);
      }
    }
    this.#turns += 1;
    const isUsed = ledger.attachments().some(({ gatewayCidr }) => gatewayCidr !== "");
    if (isUsed && this.#turns % GATEWAY_TURNS === 1) {
      await this.#try("gateway", () => life.gateway());
    }
  }

  /** Whether what the ledger remembers of a former boot can exist no more. */
  async ofThisBoot({ target }: Attachment): Promise<boolean> {
    this.#bootId ??= await this.#ports.namespaces.bootId();
    return target.kind === "host" || target.bootId === this.#bootId;
  }

  async #try(id: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      if (id === "gateway" || id === "networks") this.#troubles.delete(id);
    } catch (error) {
      const reason = messageOf(error);
      if (this.#troubles.get(id) !== reason) {
        this.#ports.log.warn({ endpoint: id, reason }, "an attachment is not as it should be");
      }
      this.#troubles.set(id, reason);
    }
  }

  async #follow(attachment: Attachment): Promise<void> {
    const { life, ledger, log, networks } = this.#ports;
    if (!attachment.joined) return await life.remove(attachment);
    const verdict = judge(attachment.target, await this.#sight(attachment));
    const { id, target } = attachment;
    if (verdict.what !== "unseen") this.#troubles.delete(id);
    if (verdict.what === "replug") return await this.#connectAgain(attachment);
    if (verdict.what === "moved") {
      const moved = { ...attachment, target: { ...target, path: verdict.path } };
      log.info({ endpoint: id, path: verdict.path }, "the target is entered by another path now");
      await life.unhook(id);
      await ledger.putAttachment(moved);
      await life.hook(moved, networks.named(moved.network) ?? { internal: false });
    } else if (verdict.what === "unhook") {
      await life.unhook(id);
      this.#ports.datapath.request("a target may be gone");
    } else if (verdict.what === "unseen") {
      throw new Error(`${target.path} is gone, but something keeps the namespace`);
    } else if (verdict.what === "gone") {
      log.info({ endpoint: id, target: target.label }, "the target is gone");
      await life.remove(attachment);
    }
  }

  async #connectAgain(attachment: Attachment): Promise<void> {
    const { life, networks, kernel, log } = this.#ports;
    const { id } = attachment;
    const { passes } = kernel();
    if (passes < (this.#connectedAt.get(id) ?? -PASSES_TO_SEE) + PASSES_TO_SEE) return;
    const network = networks.named(attachment.network);
    if (network === undefined) throw new Error(`network ${attachment.network} is not held here`);
    log.warn({ endpoint: id, target: attachment.target.label }, "connecting it again");
    this.#connectedAt.set(id, passes);
    await life.connect(attachment, network);
  }

  /** The cheap look first: one system call for what is as it was. */
  async #sight({ id, target }: Attachment): Promise<Sighting> {
    const { namespaces, kernel, life } = this.#ports;
    this.#bootId ??= await namespaces.bootId();
    const plugged = !kernel().unplugged.includes(id);
    const bare = { bootId: this.#bootId, plugged, hooked: life.isHooked(id) };
    if (target.kind === "host") return { ...bare, there: undefined, elsewhere: undefined };
    const inode = await namespaces.inodeAt(target.path);
    const isThere = inode === target.inode;
    const cookie = isThere && !plugged ? await namespaces.cookieAt(target.path) : "";
    const there = inode === undefined ? undefined : { inode, cookie };
    if (isThere && (plugged || cookie === target.cookie)) {
      return { ...bare, there, elsewhere: undefined };
    }
    const path = await namespaces.find(target.inode);
    const elsewhere = path && { path, cookie: await namespaces.cookieAt(path) };
    return { ...bare, there, elsewhere: elsewhere === "" ? undefined : elsewhere };
  }
}
