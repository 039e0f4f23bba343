/**
 * Names for every container of this host: the view of all records and the sandboxes that ask it.
 *
 * Law: answers come from the records at hand, never from a wait; opening or closing one sandbox
 * never delays another's lookups.
 */
import {
  asTsweaveError,
  type Cancel,
  type Clock,
  LIMITS,
  type Log,
  messageOf,
  type Random,
  TIMES,
  TsweaveError,
} from "../mesh/index.ts";
import { Gate } from "./gate.ts";
import { answersTo, type TextAnswer, type TextQuestion } from "./query-text.ts";
import type { NameRecord, NetworkSubnet, RecordId, SandboxEndpoint } from "./record.ts";
import type { HostSockets, SandboxHook } from "./sandbox.ts";
import { type DnsCounters, noQueries, Session } from "./session.ts";
import { Slot, type SlotContext } from "./slot.ts";
import { Nobody } from "./stub.ts";
import { Zone } from "./zone.ts";

/** One row of `tsweave status dns`. */
export interface DnsRow {
  readonly name: string;
  /** `*` for a service that every network has. */
  readonly network: string;
  readonly type: "A";
  readonly address: string;
  readonly peer: string;
  readonly ttlSeconds: number;
}

export interface DnsStatus {
  readonly domain: string;
  /** Names that resolve, once for each address. */
  readonly names: number;
  /** Sandboxes of this host and whether their lookups come here. */
  readonly sandboxes: readonly {
    readonly key: string;
    readonly networks: readonly string[];
    readonly state: "hooked" | "opening" | "failed";
    readonly problem: { code: string; text: string; next: string | undefined } | undefined;
  }[];
  readonly counters: Readonly<DnsCounters>;
}

/** Helper processes at once when opening and, apart from those, when restoring. */
const GATE_WIDTH = 2;

/** Each sandbox is looked at once in so long, by one short process. */
const CHECK_MS = 30_000;
/** The least time between two of them: with more than 60 sandboxes a round takes longer. */
const CHECK_SPACE_MS = 500;

export class DnsService {
  readonly #domain: string;
  readonly #zone: Zone;
  readonly #log: Log;
  readonly #context: SlotContext;
  readonly #counters: DnsCounters = noQueries();
  /** BOUNDED: LIMITS.dnsSandboxesMax; one more is refused. */
  readonly #slots = new Map<string, Slot>();
  /** BOUNDED: the endpoints of #slots. */
  readonly #keys = new Map<string, string>();
  #host: Session | undefined;
  #cancelCheck: Cancel | undefined;
  #closed = false;

  constructor(
    ports: {
      readonly clock: Clock;
      readonly random: Random;
      readonly log: Log;
      readonly hook: SandboxHook;
    },
    options: { readonly domain: string },
  ) {
    this.#domain = options.domain;
    this.#zone = new Zone([], [], options.domain);
    this.#log = ports.log;
    this.#context = {
      ...ports,
      opening: new Gate(GATE_WIDTH),
      restoring: new Gate(GATE_WIDTH),
      counters: this.#counters,
      zone: this.#zone,
    };
  }

  /** Networks that an outside service may be added to. */
  get networks(): ReadonlySet<string> {
    return this.#zone.networks;
  }

  /**
   * Takes records out, and puts others in, in place of those with their ids; leave out those of
   * dead peers. In effect from the next query; costs what it changes.
   */
  changeRecords(gone: readonly RecordId[], come: readonly NameRecord[]): void {
    this.#zone.change(gone, come);
  }

  /** Replaces the subnets whose reverse names are ours. */
  setSubnets(subnets: readonly NetworkSubnet[]): void {
    this.#zone.setSubnets(subnets);
  }

  /** Serves the host itself, which sees every network. Closes the sockets in `close`. */
  serveHost(sockets: HostSockets): void {
    const zone = this.#zone;
    const view = { zone, asker: () => ({ networks: zone.networks, links: new Set<string>() }) };
    const ports = { ...this.#context, elsewhere: new Nobody(zone) };
    this.#host = new Session(ports, sockets, view, this.#counters);
  }

  /** The zone's answers to a person's question. @throws TsweaveError USAGE, NOT_FOUND. */
  lookup(question: TextQuestion): readonly TextAnswer[] {
    return answersTo(question, this.#zone);
  }

  /**
   * Brings a sandbox's lookups here; the same endpoint again updates its links. Resolves once
   * lookups arrive. Errors as SandboxHook's: NOT_FOUND forgets the endpoint, after any other the
   * sandbox stays on Docker's resolver and a later attach tries again.
   */
  async attach(endpoint: SandboxEndpoint): Promise<void> {
    if (this.#closed) throw new TsweaveError("NOT_RUNNING", "the DNS service is stopped");
    const { endpointId, key } = endpoint;
    if ((this.#keys.get(endpointId) ?? key) !== key) await this.detach(endpointId);
    const slot = this.#slotOf(key);
    this.#keys.set(endpointId, key);
    slot.put(endpoint);
    try {
      await slot.ensure();
    } catch (error) {
      if (asTsweaveError(error).code === "NOT_FOUND") await this.detach(endpointId);
      throw error;
    }
  }

  /** Undoes `attach`; with its last endpoint a sandbox goes back to Docker's resolver. */
  async detach(endpointId: string): Promise<void> {
    const key = this.#keys.get(endpointId);
    if (key === undefined) return;
    this.#keys.delete(endpointId);
    const slot = this.#slots.get(key);
    slot?.drop(endpointId);
    if (slot?.empty === true) await this.#shut(slot, { restore: true });
  }

  /** Opens every hook anew; needed when the engine restarted under running containers. */
  async refresh(): Promise<void> {
    await Promise.all(
      [...this.#slots.values()].map((slot) =>
        slot.renew().catch((error: unknown) => {
          this.#log.warn({ key: slot.key, err: messageOf(error) }, "dns hook not renewed");
        }),
      ),
    );
  }

  /**
   * Stops. With `restore` every sandbox is back on Docker's resolver when this resolves; without,
   * the redirects stay for the next life of the daemon to take over.
   */
  async close(options: { readonly restore: boolean }): Promise<void> {
    this.#closed = true;
    this.#cancelCheck?.();
    this.#keys.clear();
    const slots = [...this.#slots.values()];
    for (const slot of slots) slot.clear();
    const host = this.#host;
    this.#host = undefined;
    await Promise.all([host?.close(), ...slots.map((slot) => this.#shut(slot, options))]);
  }

  /** Every name that resolves, sorted by name, network and address. */
  records(): readonly DnsRow[] {
    const rows: DnsRow[] = [];
    const ttlSeconds = TIMES.dnsTtlSeconds;
    for (const { record, names } of this.#zone.records()) {
      const { network, ip: address, peer } = record;
      for (const name of names) rows.push({ name, network, type: "A", address, peer, ttlSeconds });
    }
    return rows.sort(byNameAndNetwork);
  }

  status(): DnsStatus {
    return {
      domain: this.#domain,
      names: this.#zone.names,
      sandboxes: [...this.#slots.values()].map(sandboxStatus),
      counters: { ...this.#counters },
    };
  }

  async #shut(slot: Slot, options: { readonly restore: boolean }): Promise<void> {
    await slot.shut(options);
    if (slot.empty && this.#slots.get(slot.key) === slot) this.#slots.delete(slot.key);
  }

  #slotOf(key: string): Slot {
    const known = this.#slots.get(key);
    if (known !== undefined) return known;
    if (this.#slots.size >= LIMITS.dnsSandboxesMax) {
      throw new TsweaveError("BAD_REQUEST", `more than ${LIMITS.dnsSandboxesMax} DNS sandboxes`);
    }
    const slot = new Slot(key, this.#context);
    this.#slots.set(key, slot);
    if (this.#slots.size === 1) this.#checkNext();
    return slot;
  }

  /** Looks at the sandboxes in turn, as long as there are any. */
  #checkNext(): void {
    this.#cancelCheck?.();
    if (this.#slots.size === 0 || this.#closed) return;
    const waitMs = Math.max(CHECK_SPACE_MS, CHECK_MS / this.#slots.size);
    this.#cancelCheck = this.#context.clock.timer("dns-check", waitMs, () => {
      const [next] = this.#slots.values();
      if (next === undefined) return;
      // To the end of the line.
      this.#slots.delete(next.key);
      this.#slots.set(next.key, next);
      void next.check().then(() => this.#checkNext());
    });
  }
}

function byNameAndNetwork(a: DnsRow, b: DnsRow): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  if (a.network !== b.network) return a.network < b.network ? -1 : 1;
  return a.address < b.address ? -1 : 1;
}

function sandboxStatus(slot: Slot): DnsStatus["sandboxes"][number] {
  const { key, networks, problem } = slot;
  const state = slot.hooked ? "hooked" : problem === undefined ? "opening" : "failed";
  const shown = problem && { code: problem.code, text: problem.message, next: problem.hint };
  return { key, networks, state, problem: shown };
}
