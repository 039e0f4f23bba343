/**
 * A new MTU brought into networks that are in use: ledger, rows, devices, container ends.
 *
 * Law: on the way down the container ends come first, so that nobody makes a packet that the
 * devices refuse; on the way up they come last, when other hosts have raised theirs. A flow that
 * fits both loses nothing.
 */
import type { Clock, Log } from "../../mesh/index.ts";
import {
  type Attach,
  alignEnds,
  type Docker,
  type EndMtu,
  type HeldNetwork,
  type Ledger,
  type NetworkPlan,
  type Reconciler,
} from "../../overlay/index.ts";

export interface MtuChangePorts {
  readonly ledger: Ledger;
  readonly plan: NetworkPlan;
  readonly sides: {
    readonly docker?: { readonly docker: Pick<Docker, "replan"> };
    readonly attach?: Pick<Attach, "replan">;
  };
  readonly reconciler: Pick<Reconciler, "flush">;
  readonly clock: Clock;
  readonly log: Log;
}

/** Other hosts hear of a change within milliseconds; what they were doing then is done by now. */
const RAISE_AFTER_MS = 2000;
/** A Join that was under way with the former MTU is over. */
const AGAIN_MS = 3000;

export class MtuChange {
  readonly #ports: MtuChangePorts;
  /** By id, as the ends may still have it. BOUNDED: networks of the ledger. */
  readonly #before: Map<string, number>;
  #running: Promise<void> | undefined;
  #isAsked = false;

  /** To be made when the ledger is read and nothing has been placed anew yet. */
  constructor(ports: MtuChangePorts) {
    this.#ports = ports;
    this.#before = new Map(this.#networks().map(({ id, mtuBytes }) => [id, mtuBytes]));
  }

  /** Brings every network to the MTU that the plan says now. Never rejects. */
  apply(): Promise<void> {
    this.#isAsked = true;
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #work(): Promise<void> {
    while (this.#isAsked) {
      this.#isAsked = false;
      await this.#once();
    }
  }

  async #once(): Promise<void> {
    const { sides, reconciler, log } = this.#ports;
    const changes = this.#networks().flatMap((network) => this.#changeOf(network) ?? []);
    if (changes.length === 0) return;
    const isLowered = (id: string): boolean =>
      changes.some((one) => one.id === id && one.mtuBytes < one.beforeBytes);
    const lowered = this.#ends(changes.filter(({ id }) => isLowered(id)));
    await alignEnds(lowered, log);
    await sides.docker?.docker.replan();
    await sides.attach?.replan();
    await reconciler.flush();
    const isRaised = changes.some(({ id }) => !isLowered(id));
    await this.#pause(isRaised ? RAISE_AFTER_MS : 0);
    await alignEnds(this.#ends(changes), log);
    await this.#pause(AGAIN_MS);
    const set = await alignEnds(this.#ends(changes), log);
    for (const { id, name, beforeBytes, mtuBytes } of changes) {
      this.#before.set(id, mtuBytes);
      log.info({ network: name, was: beforeBytes, mtuBytes, late: set }, "network has a new MTU");
    }
  }

  #networks(): HeldNetwork[] {
    const { ledger } = this.#ports;
    const all = [...ledger.networks(), ...ledger.ownNetworks()].filter(({ name }) => name !== "");
    return [...new Map(all.map((network) => [network.id, network])).values()];
  }

  #changeOf(network: HeldNetwork): Change | undefined {
    const { id, name, subnet, underlayMtuBytes } = network;
    let { mtuBytes } = network;
    try {
      mtuBytes = this.#ports.plan.place({ name, subnet, underlayMtuBytes }).mtuBytes;
    } catch {
      return undefined; // A network in conflict with the mesh's stays as it is, and is told.
    }
    const beforeBytes = this.#before.get(id) ?? network.mtuBytes;
    if (beforeBytes === mtuBytes && network.mtuBytes === mtuBytes) {
      this.#before.set(id, mtuBytes);
      return undefined;
    }
    return { id, name, beforeBytes, mtuBytes };
  }

  /** The container ends on these networks, Docker's and those of attachments. */
  #ends(changes: readonly Change[]): EndMtu[] {
    const { ledger } = this.#ports;
    return changes.flatMap(({ id, name, beforeBytes, mtuBytes }) => {
      const sizes = { beforeBytes, mtuBytes };
      const containers = ledger
        .endpointsOf(id)
        .filter(({ sandboxKey }) => sandboxKey !== "")
        .map(({ sandboxKey: path, mac }) => ({ path, mac, ...sizes }));
      const attached = ledger
        .attachments()
        .filter(({ network }) => network === name)
        .map(({ target, mac }) => ({ path: target.path, mac, ...sizes }));
      return [...containers, ...attached];
    });
  }

  async #pause(ms: number): Promise<void> {
    if (ms === 0) return;
    await new Promise<void>((resolve) => {
      this.#ports.clock.timer("mtu", ms, resolve);
    });
  }
}

interface Change {
  readonly id: string;
  readonly name: string;
  readonly beforeBytes: number;
  readonly mtuBytes: number;
}
