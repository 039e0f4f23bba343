/**
 * What the tables should hold, followed with as little writing as possible.
 *
 * Laws: whoever may still send by a path that is given up is let in for DRAIN_MS more, and no
 * longer answered: its probes fail first, and it goes back to the tunnel without a loss. An
 * element that frames were steered by goes only when they no longer are.
 */
import type { DirectNetwork } from "./model.ts";
import type { DirectPlan } from "./plan.ts";
import { DETECTION_MS } from "./probing.ts";
import type { Steer } from "./steering.ts";
import {
  DIRECT_TABLE,
  type DirectDevice,
  directText,
  FORGED_TABLE,
  goneText,
  nextText,
  PROBE_TABLE,
} from "./table.ts";

/** Long enough for a peer to find out and to act, on a loaded host too. */
export const DRAIN_MS = 5 * DETECTION_MS;

interface Until<T> {
  readonly what: T;
  readonly untilMs: number;
}

interface Growing {
  readonly from: string[];
  readonly next: Map<string, string>;
}

export class WayTables {
  readonly #apply: (script: string) => Promise<void>;
  /** Senders let in, by device and MAC. BOUNDED: planned peers, and former ones for DRAIN_MS. */
  readonly #from = new Map<string, Until<{ readonly device: string; readonly mac: string }>>();
  /** Own MACs of the devices. BOUNDED: the host's devices. */
  readonly #own = new Map<string, string>();
  /** By namespace. BOUNDED: planned networks, and former ones for DRAIN_MS. */
  readonly #networks = new Map<string, Until<DirectNetwork>>();
  /** By MAC. BOUNDED: endpoints of the mesh, and former ones for DRAIN_MS. */
  readonly #next = new Map<string, Until<Steer>>();
  /** What the kernel holds: the tables but for `next`, and `next` by device and MAC. */
  #written = "";
  #held = new Map<string, ReadonlyMap<string, string>>();

  constructor(apply: (script: string) => Promise<void>) {
    this.#apply = apply;
  }

  /** Forgets what the kernel holds: the next `write` makes everything anew. */
  doubt(): void {
    this.#written = "";
  }

  /** Notes what is wanted now; what is no longer lingers. `steers`: old and new ones. */
  want(plan: DirectPlan, steers: Iterable<Steer>, nowMs: number): void {
    const untilMs = nowMs + DRAIN_MS;
    for (const [device, mac] of plan.devices) this.#own.set(device, mac);
    for (const { device, mac } of plan.peers) {
      this.#from.set(`${device} ${mac}`, { what: { device, mac }, untilMs });
    }
    for (const network of plan.networks) {
      this.#networks.set(network.netns, { what: network, untilMs });
    }
    for (const steer of steers) this.#next.set(steer.mac, { what: steer, untilMs });
    expire(this.#from, nowMs);
    expire(this.#networks, nowMs);
    expire(this.#next, nowMs);
  }

  /** Brings the tables that carry packets to what is wanted. @throws TsweaveError */
  async write(): Promise<void> {
    const networks = [...this.#networks.values()].map(({ what }) => what);
    const devices = this.#devices();
    if (devices.length === 0 || networks.length === 0) return await this.#remove();
    const bare = directText(
      networks,
      devices.map((device) => ({ ...device, next: new Map() })),
    );
    const script = bare === this.#written ? this.#changes(devices) : directText(networks, devices);
    if (script === "") return;
    this.#written = "";
    await this.#apply(script);
    this.#written = bare;
    this.#held = new Map(devices.map(({ name, next }) => [name, next]));
  }

  #devices(): DirectDevice[] {
    const devices = new Map<string, DirectDevice & Growing>();
    for (const { what } of this.#from.values()) {
      const { device: name } = what;
      const mac = this.#own.get(name) ?? "";
      const fresh: DirectDevice & Growing = { name, mac, from: [], next: new Map() };
      const device = devices.get(name) ?? fresh;
      device.from.push(what.mac);
      devices.set(name, device);
    }
    for (const { what } of this.#next.values()) {
      devices.get(what.device)?.next.set(what.mac, what.host);
    }
    return [...devices.values()];
  }

  #changes(devices: readonly DirectDevice[]): string {
    return nextText(
      devices.map(({ name, next }) => {
        const held = this.#held.get(name) ?? new Map<string, string>();
        const put = [...next].filter(([mac, host]) => held.get(mac) !== host);
        const gone = [...held.keys()].filter((mac) => next.get(mac) !== held.get(mac));
        return { gone, put };
      }),
    );
  }

  async #remove(): Promise<void> {
    if (this.#written === "") return;
    await this.#apply(`${goneText(DIRECT_TABLE)}${goneText(FORGED_TABLE)}${goneText(PROBE_TABLE)}`);
    this.#written = "";
    this.#held = new Map();
  }
}

function expire<T>(map: Map<string, Until<T>>, nowMs: number): void {
  for (const [key, { untilMs }] of map) if (untilMs <= nowMs) map.delete(key);
}
