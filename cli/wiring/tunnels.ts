/**
 * The tunnels to all peers, probed: what passes whole, what passes nothing, what spoils checksums;
 * and what is done about it.
 *
 * Laws: only peers that are here and reached directly are judged; a proof outlives the daemon; a
 * workaround is kept only when it was seen to help.
 */
import {
  type Cancel,
  type Clock,
  decodeWire,
  encodeWire,
  type Log,
  type Member,
  messageOf,
  readArray,
  readBoolean,
  readInteger,
  readString,
  type Store,
} from "../../mesh/index.ts";
import {
  type Errand,
  type PathFinding,
  PathProofs,
  type ProbePeer,
  type ProbeResult,
  type TunnelProbe,
} from "../../overlay/index.ts";
import { probePeers } from "./tunnel-peers.ts";

export interface TunnelPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: Pick<Store, "load" | "save">;
  readonly members: () => readonly Member[];
  /** Whether a peer's row says that it has tunnels at this host's port. */
  readonly hasTunnel: (member: Member) => boolean;
  /** Largest packet of a container that routes and other hosts allow. */
  readonly fullBytes: () => number;
  readonly probe: Pick<TunnelProbe, "probe" | "offload">;
  /** Checksum offload of all networks' devices. */
  readonly networksOffload: (isOn: boolean) => Promise<void>;
  /** A proof came or went. */
  readonly changed: () => void;
}

/** As found: checksums may be left to the card, must not, or nothing helps. */
export type OffloadState = "on" | "off" | "helpless";

const KEY = "underlay";
const TURN_MS = 5000;
/** A peer that has just come has yet to make its end. */
const SETTLED_MS = 4000;
const KEPT_MAX = 4096;
const CLEAN_ROUNDS = 3;
/** A round may take seconds; its process ends with this one. */
const STOP_MS = 300;

export class Tunnels {
  readonly #ports: TunnelPorts;
  readonly #underlay: 4 | 6;
  #proofs = new PathProofs();
  #offload: OffloadState = "on";
  /** What the disk holds; what a full disk did not take is written by a later round. */
  #saved = "";
  #told = "";
  #cancel: Cancel = () => undefined;
  #isOver = false;
  #isLacking = false;
  /** The probe network's own device does without the card, too: what it shows is no news. */
  #isCured = false;
  /** Rounds in a row without a spoiled checksum, after a start with the workaround. */
  #clean = 0;
  #turn: Promise<void> = Promise.resolve();

  constructor(ports: TunnelPorts, underlay: 4 | 6) {
    this.#ports = ports;
    this.#underlay = underlay;
  }

  /** Reads what was proved before. Never rejects: a file that does not read is begun anew. */
  async open(): Promise<void> {
    const { store, log } = this.#ports;
    try {
      const bytes = await store.load(KEY);
      if (bytes === undefined) return;
      const [limits, isOff] = readArray(decodeWire(bytes), KEY, 2, 8);
      const rows = readArray(limits, KEY, 0, KEPT_MAX).map((row) => readArray(row, KEY, 2, 2));
      const read = rows.map(([vtep, size]): [string, number] => [
        readString(vtep, "vtep", 45),
        readInteger(size, "size", 1, 65_535),
      ]);
      this.#proofs = new PathProofs(new Map(read));
      this.#offload = readBoolean(isOff, "offload") ? "off" : "on";
    } catch (error) {
      log.warn({ reason: messageOf(error) }, "what was known of the underlay does not read");
    }
  }

  start(): void {
    if (this.#isOver) return;
    this.#cancel = this.#ports.clock.timer("tunnels", TURN_MS, () => {
      this.#turn = this.#round()
        .catch((error: unknown) => this.#lacking(error))
        .then(() => this.start());
    });
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    this.#cancel();
    let cancel: Cancel = () => undefined;
    const late = new Promise<void>((resolve) => {
      cancel = this.#ports.clock.timer("tunnels end", STOP_MS, resolve);
    });
    await Promise.race([this.#turn, late]);
    cancel();
  }

  /** The underlay changed: what was well may not be. */
  doubt(): void {
    this.#proofs.doubt(this.#ports.clock.nowMs());
  }

  /** Largest underlay packet to an address, where it is proved to be less than its route's. */
  proved(): ReadonlyMap<string, number> {
    const header = this.#underlay === 6 ? 70 : 50;
    return new Map([...this.#proofs.limits()].map(([vtep, bytes]) => [vtep, bytes + header]));
  }

  findings(): readonly PathFinding[] {
    return this.#proofs.findings();
  }

  get offload(): OffloadState {
    return this.#offload;
  }

  async #round(): Promise<void> {
    const { clock, members, hasTunnel, fullBytes, probe } = this.#ports;
    const settled = (one: Member): boolean => clock.nowMs() - one.sinceMs >= SETTLED_MS;
    const peers = probePeers(members().filter((one) => settled(one) && hasTunnel(one)));
    const vteps = peers.map(({ vtep }) => vtep);
    const errands = this.#proofs.due(vteps, fullBytes(), clock.nowMs());
    if (errands.length === 0) return this.#told === this.#saved ? undefined : await this.#save();
    const results = await probe.probe(errands, peers);
    this.#isLacking = false;
    for (const errand of errands) {
      const result = results.get(errand.vtep);
      if (result !== undefined) this.#proofs.take(errand, result, clock.nowMs());
    }
    await this.#mend(errands, peers);
    await this.#relax([...results.values()]);
    await this.#save();
  }

  /** Leaves checksums to the kernel where the underlay spoils them, if that helps. */
  async #mend(errands: readonly Errand[], peers: readonly ProbePeer[]): Promise<void> {
    const { probe, networksOffload, log } = this.#ports;
    if (this.#offload === "off") await networksOffload(false);
    const spoiled = this.#proofs.findings().filter(({ kind }) => kind === "spoiled");
    const errand = errands.find(({ vtep }) => spoiled.some((one) => one.vtep === vtep));
    if (errand === undefined || this.#offload === "helpless") return;
    if (!(await probe.offload(false))) return;
    const again = (await probe.probe([errand], peers)).get(errand.vtep);
    if (again?.isChecked !== true) {
      this.#offload = "helpless";
      await probe.offload(true);
      return;
    }
    this.#offload = "off";
    this.#isCured = true;
    log.warn({ vtep: errand.vtep }, "checksums in tunnels are spoiled: computed here from now on");
    await networksOffload(false);
    this.#proofs.doubt(this.#ports.clock.nowMs());
  }

  /** After a restart the card may be another, or its driver: then the workaround goes. */
  async #relax(results: readonly ProbeResult[]): Promise<void> {
    if (this.#offload !== "off" || this.#isCured) return;
    const shown = results.filter(({ isChecked }) => isChecked !== null);
    const isClean = shown.length > 0 && shown.every(({ isChecked }) => isChecked === true);
    this.#clean = isClean ? this.#clean + 1 : 0;
    if (this.#clean < CLEAN_ROUNDS) return;
    this.#offload = "on";
    await this.#ports.networksOffload(true);
  }

  async #save(): Promise<void> {
    const limits = [...this.#proofs.limits()].slice(0, KEPT_MAX);
    const state = JSON.stringify([limits, this.#offload === "off"]);
    if (state === this.#saved) return;
    const isNews = this.#saved !== "" || limits.length > 0;
    if (isNews && state !== this.#told) this.#ports.changed();
    this.#told = state;
    await this.#ports.store.save(KEY, encodeWire([limits, this.#offload === "off"]));
    this.#saved = state;
  }

  #lacking(error: unknown): void {
    const fields = { reason: messageOf(error) };
    if (!this.#isLacking) this.#ports.log.warn(fields, "tunnels to peers cannot be probed");
    this.#isLacking = true;
  }
}
