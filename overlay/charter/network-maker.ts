/**
 * Brings this engine's networks to what the mesh has decided, and the mesh to what users decide on
 * this engine.
 *
 * Laws: Docker cannot be made to refuse `network rm` while other hosts use a network, so one that
 * is removed too early is put back and said so; an engine's loss of a network is no user's wish;
 * nothing is removed from an engine that cannot be asked, or under a container.
 */
import {
  type Cancel,
  type Clock,
  type Log,
  messageOf,
  TIMES,
  TsweaveError,
} from "../../mesh/index.ts";
import { Departed } from "../docker/departed.ts";
import type { DockerEngine, DockerNetwork, NetworkRegister } from "../docker/ports.ts";
import type { Network } from "../model.ts";
import { CoalescingWorker } from "../serial.ts";
import { networkLabel } from "../vni.ts";
import type { NetworkSpec } from "./charter.ts";
import type { CharterBook } from "./charter-book.ts";
import { type Decision, decide, type NetworkNote } from "./decide.ts";
import { requestOf, subnetOf } from "./spec.ts";

export interface NetworkMakerPorts {
  readonly book: CharterBook;
  readonly engine: DockerEngine;
  readonly clock: Clock;
  readonly log: Log;
  /** What uses a network of this engine, by the engine's id: names for people. */
  readonly usersHere: (id: string) => readonly string[];
  /** What uses a network on other hosts, by name and subnet. */
  readonly usersElsewhere: (name: string, subnet: string) => readonly string[];
  /** Whether the driver holds a network, or the engine is making one on that subnet. */
  readonly isHeld: (name: string, subnet: string) => boolean;
  /** Gives held networks the VNIs that count now: false, if the disk did not take it. */
  readonly replan: () => Promise<boolean>;
}

export interface NetworkMakerOptions {
  readonly driver: string;
  readonly defaultName: string;
}

/** Lets the driver calls of a container's end arrive. */
const SETTLE_MS = 500;
const FAILED_RETRY_MS = 5000;
/** A network that the engine lost, not removed, is held until comparisons with it agree. */
const VANISHED_RETRY_MS = 1000;
/** How long a command of Docker's waits for a plugin that is not there, at most. */
const WAITED_MS = 60_000;
const UNWANTED = "removed a network that the mesh has no more, or twice";

export class NetworkMaker implements NetworkRegister {
  readonly #ports: NetworkMakerPorts;
  readonly #options: NetworkMakerOptions;
  readonly #worker: CoalescingWorker;
  /** Networks that the engine made in this life, by id. */
  readonly #fresh = new Departed();
  /** Of those the ones that this daemon asked for. */
  readonly #own = new Departed();
  /** Of those the ones that the mesh knew at some time: what is not live then was removed. */
  readonly #known = new Departed();
  /** Networks being removed by this daemon, by id. */
  readonly #removing = new Departed();
  /** Labels of networks that the engine was asked for. BOUNDED: live charters. */
  readonly #asked = new Set<string>();
  #notes: readonly NetworkNote[] = [];
  #cancel: Cancel | undefined;
  #started = false;
  readonly #startedMs: number;
  #paused = false;

  constructor(ports: NetworkMakerPorts, options: NetworkMakerOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#startedMs = ports.clock.nowMs();
    this.#worker = new CoalescingWorker(ports.clock, "networks", () => this.#pass());
  }

  /** To be called once the default network is there: no other is made before it. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#cancel = this.#ports.engine.onEvent(({ type, action }) => {
      if (type === "connected") this.#worker.request();
      if (type === "network") this.#worker.request(action === "disconnect" ? SETTLE_MS : 0);
    });
    this.#worker.request();
  }

  async stop(): Promise<void> {
    this.#cancel?.();
    await this.#worker.stop();
  }

  /** Charters changed, or, what can wait a little, rows. */
  request(delayMs = 0): void {
    if (this.#started) this.#worker.request(delayMs);
  }

  /** Resolves when a pass that began after this call is over. */
  async flush(): Promise<void> {
    if (this.#started) await this.#worker.flush();
  }

  /** While this host leaves, its engine's networks go without a word to the mesh. */
  pause(paused: boolean): void {
    this.#paused = paused;
    if (!paused) this.request();
  }

  /** What differs on this host. */
  notes(): readonly NetworkNote[] {
    return this.#notes;
  }

  /** Asks this engine for a network as a user would. @throws TsweaveError DOCKER_REFUSED. */
  async createHere(name: string, spec: NetworkSpec): Promise<void> {
    await this.#ports.engine.createNetwork(requestOf(name, this.#options.driver, spec));
  }

  made(networkId: string): void {
    this.#fresh.add(networkId);
  }

  freed(): void {
    this.request();
  }

  /** Never rejects: what it leaves the next pass finds. */
  async follows(made: string, { id, name }: Network): Promise<void> {
    const { clock, log, usersHere } = this.#ports;
    if (this.#paused || clock.nowMs() - this.#startedMs > WAITED_MS) return;
    // While one is asked for, the new one may be that.
    const isUsers = this.#asked.size === 0 && !this.#own.has(made) && this.#own.has(id);
    if (!isUsers || usersHere(id).length > 0) return;
    try {
      await this.#remove(name, id, "made room for a network that was asked for before");
    } catch (error) {
      log.warn({ network: name, reason: messageOf(error) }, "a network may be there twice");
    }
  }

  async removed({ id, name, subnet }: Network): Promise<void> {
    const { book, log, usersElsewhere } = this.#ports;
    if (this.#paused || this.#removing.has(id) || name === this.#options.defaultName) return;
    const isShared = book.charter(name).live.some(({ spec }) => spec.subnet === subnet);
    const differs = this.#notes.some(
      ({ code, network }) => code === "NETWORK_DIFFERS" && network === name,
    );
    if (!isShared || differs) return;
    const users = usersElsewhere(name, subnet);
    if (users.length === 0) {
      await book.dissolve(name, subnet);
      log.info({ network: name, subnet }, "network removed for the whole mesh");
      return;
    }
    this.#worker.request(SETTLE_MS);
    log.warn({ network: name, users }, "network removed here while others use it: it is put back");
    throw inUse(name, users);
  }

  /** Never rejects. */
  async #pass(): Promise<void> {
    const { replan, engine, log } = this.#ports;
    try {
      const isPlaced = await replan();
      if (this.#paused) return;
      const decision = this.#decide(await engine.networks());
      const failures = await this.#carryOut(decision);
      this.#tell([...decision.notes, ...failures]);
      const isDone = isPlaced && failures.length === 0;
      const retryMs = isDone ? TIMES.engineSyncMs : FAILED_RETRY_MS;
      this.#worker.request(decision.vanished > 0 ? VANISHED_RETRY_MS : retryMs);
    } catch (error) {
      log.info({ reason: messageOf(error) }, "networks are not compared with the mesh's yet");
      this.#worker.request(TIMES.engineRetryMsMax);
    }
  }

  #decide(listed: readonly DockerNetwork[]): Decision {
    const { book, usersHere, isHeld } = this.#ports;
    const { driver, defaultName } = this.#options;
    for (const network of listed) {
      if (network.driver !== driver) continue;
      const { live } = book.charter(network.name);
      if (this.#asked.delete(labelOf(network))) this.#own.add(network.id);
      if (live.some(({ spec }) => network.subnets.includes(spec.subnet)))
        this.#known.add(network.id);
    }
    return decide({
      charters: book.charters(),
      listed,
      driver,
      defaultName,
      isUserMade: ({ id }) => this.#fresh.has(id) && !this.#own.has(id) && !this.#known.has(id),
      isOwn: ({ id }) => this.#own.has(id),
      isHeld,
      usersOf: usersHere,
    });
  }

  /** Carries out what it can; what fails is told and tried again. */
  async #carryOut({ found, remove, create }: Decision): Promise<NetworkNote[]> {
    const { book, log } = this.#ports;
    const failures: NetworkNote[] = [];
    const attempt = async (name: string, subnet: string, work: () => Promise<void>) => {
      try {
        await work();
      } catch (error) {
        log.warn({ network: name, reason: messageOf(error) }, "a network is not as it should be");
        failures.push(failure(name, subnet, error));
      }
    };
    for (const { name, id, spec } of found) {
      await attempt(name, spec.subnet, async () => {
        await book.found(name, spec);
        this.#known.add(id);
        log.info({ network: name, subnet: spec.subnet }, "network made known to the mesh");
      });
    }
    for (const { name, id } of remove) {
      await attempt(name, "", () => this.#remove(name, id, UNWANTED));
    }
    for (const { name, spec } of create) {
      await attempt(name, spec.subnet, () => this.#create(name, spec));
    }
    // A network that made room for another of its name is followed by that one.
    if (remove.length > 0 && failures.length === 0) this.#worker.request();
    return failures;
  }

  async #create(name: string, spec: NetworkSpec): Promise<void> {
    const { engine, log } = this.#ports;
    const label = networkLabel(name, spec.subnet);
    this.#asked.add(label);
    try {
      const id = await engine.createNetwork(requestOf(name, this.#options.driver, spec));
      this.#own.add(id);
      this.#asked.delete(label);
      log.info({ network: name, subnet: spec.subnet }, "made a network of the mesh");
    } catch (error) {
      // Without an answer the engine may make it yet, and it is not a user's then either.
      const isRefused = error instanceof TsweaveError && error.code === "DOCKER_REFUSED";
      if (isRefused) this.#asked.delete(label);
      throw error;
    }
  }

  async #remove(name: string, id: string, why: string): Promise<void> {
    const { engine, log } = this.#ports;
    this.#removing.add(id);
    await engine.removeNetwork(id);
    log.info({ network: name, id }, why);
  }

  #tell(notes: readonly NetworkNote[]): void {
    const known = new Set(this.#notes.map(({ text }) => text));
    for (const { code, text, next } of notes) {
      if (!known.has(text)) this.#ports.log.warn({ code, next }, text);
    }
    this.#notes = notes;
  }
}

/** Refuses a removal, naming who uses the network. */
export function inUse(name: string, users: readonly string[]): TsweaveError {
  const shown = users.slice(0, 4).join(", ");
  const more = users.length > 4 ? ` and ${users.length - 4} more` : "";
  return new TsweaveError("BAD_REQUEST", `network ${name} is in use by ${shown}${more}`, {
    hint: "end or detach them, or 'docker network disconnect'; see 'tsweave status endpoints'",
  });
}

function labelOf(network: DockerNetwork): string {
  return networkLabel(network.name, network.subnets.length > 0 ? subnetOf(network) : "");
}

function failure(network: string, subnet: string, error: unknown): NetworkNote {
  const hint = error instanceof TsweaveError ? error.hint : undefined;
  return {
    code: "NETWORK_NOT_MADE",
    network,
    subnet,
    text: `network ${network} is not here as the mesh has it: ${messageOf(error)}`,
    next: hint ?? "it is tried again; see the log",
  };
}
