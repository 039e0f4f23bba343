/**
 * N peers of one system and the questions put to them, the same for every system: how long until
 * all see all, until everyone heard, until everyone knows of a death, and who was slandered.
 */
import { cpuMs } from "../lib/processes.ts";
import { monotonicMs, type Peer, type PeerEvent, type PeerSystem, peerName } from "./peer.ts";

/** Long enough for the slowest detector at hand. */
const PATIENCE_MS = 40_000;
/** After a pause: for verdicts that are still on their way. */
const AFTERMATH_MS = 2000;

/** Verdicts of death in the course of a pause. */
export interface PauseVerdicts {
  /** About peers that ran, by peers that ran. */
  readonly slander: number;
  /** About peers that ran, by those that were paused, once they went on. */
  readonly illness: number;
  /** About the paused, by peers that ran. */
  readonly aboutPaused: number;
}

export class Cluster {
  readonly system: PeerSystem;
  readonly size: number;
  /** Verdicts about peers that ran all the time. */
  falseVerdicts = 0;
  readonly #round: number;
  /** BOUNDED: the peers of one run, by number. */
  readonly #peers = new Map<number, Peer>();
  /** BOUNDED: by number, the names each sees alive. */
  readonly #seen = new Map<number, Set<string>>();
  /** When somebody last saw somebody come alive. */
  #lastAliveMs = 0;
  /** BOUNDED: the peers of one run that are dead or paused by our own hand. */
  readonly #hurt = new Set<string>();
  /** BOUNDED: questions that wait for events. */
  readonly #listeners = new Set<(index: number, event: PeerEvent) => void>();

  constructor(system: PeerSystem, size: number, round: number) {
    this.system = system;
    this.size = size;
    this.#round = round;
  }

  /** Starts every peer, each alone. */
  async start(): Promise<void> {
    await Promise.all(this.#indexes().map((index) => this.#start(index)));
  }

  /** SIGKILL to all of them. */
  async stop(): Promise<void> {
    for (const peer of this.#peers.values()) {
      peer.signal("SIGCONT");
      peer.signal("SIGKILL");
    }
    await Promise.all([...this.#peers.values()].map((peer) => peer.gone));
  }

  /** Processor time of all peers so far. */
  cpuMs(): number {
    return [...this.#peers.values()].reduce((sum, { pid }) => sum + cpuMs(pid), 0);
  }

  peer(index: number): Peer {
    const peer = this.#peers.get(index);
    if (peer === undefined) throw new Error(`no peer ${index}`);
    return peer;
  }

  /** All but the first join the first at the same moment; ms until each sees all as alive. */
  async joinAll(): Promise<number> {
    let beganMs = Number.POSITIVE_INFINITY;
    const done = this.#until(
      "all see all",
      () => Number.isFinite(beganMs) && this.#allSeeAll(),
      (_index, event) => {
        if (event.type === "began") beganMs = Math.min(beganMs, event.atMs);
      },
    );
    for (const index of this.#indexes().slice(1)) this.peer(index).join(this.peer(1).address);
    await done;
    return this.#lastAliveMs - beganMs;
  }

  /** ms until each other peer heard what one says, least first. */
  async tell(from: number, text: string): Promise<number[]> {
    let beganMs: number | undefined;
    const heardMs: number[] = [];
    const done = this.#until(
      `all hear ${text}`,
      () => heardMs.length === this.size - 1 && beganMs !== undefined,
      (_index, event) => {
        if (event.about !== text) return;
        if (event.type === "began") beganMs = event.atMs;
        if (event.type === "row") heardMs.push(event.atMs);
      },
    );
    this.peer(from).tell(text);
    await done;
    return heardMs.map((ms) => ms - (beganMs ?? 0)).sort((a, b) => a - b);
  }

  /** SIGKILL to one peer; ms until the first and until every other one calls it dead. */
  async kill(index: number): Promise<{ first: number; last: number }> {
    this.#hurt.add(peerName(index));
    const known = this.#deaths(peerName(index));
    this.peer(index).signal("SIGKILL");
    return await known;
  }

  /** Starts a killed peer again and lets it join; ms from the join until all see all. */
  async restart(index: number): Promise<number> {
    await this.#start(index);
    const startMs = monotonicMs();
    this.peer(index).join(this.peer(index === 1 ? 2 : 1).address);
    await this.#until("all see the restarted peer", () => this.#allSeeAll());
    this.#hurt.delete(peerName(index));
    return this.#lastAliveMs - startMs;
  }

  /** SIGSTOP for a while, then SIGCONT; ms until dead for all, and from SIGCONT until all agree. */
  async pause(index: number, pauseMs: number): Promise<{ dead: number; agree: number }> {
    this.#hurt.add(peerName(index));
    const startMs = monotonicMs();
    const known = this.#deaths(peerName(index));
    this.peer(index).signal("SIGSTOP");
    const { last } = await known;
    await sleep(Math.max(0, pauseMs - (monotonicMs() - startMs)));
    const resumedMs = monotonicMs();
    this.peer(index).signal("SIGCONT");
    await this.#until("all agree after a pause", () => this.#allSeeAll());
    this.#hurt.delete(peerName(index));
    return { dead: last, agree: Math.max(0, this.#lastAliveMs - resumedMs) };
  }

  /** SIGSTOP to several at once for a while; who was called dead until all agree again. */
  async pauseMany(indexes: readonly number[], pauseMs: number): Promise<PauseVerdicts> {
    const before = this.falseVerdicts;
    const paused = new Set(indexes);
    const names = new Set(indexes.map(peerName));
    const found = { slander: 0, illness: 0, aboutPaused: 0 };
    const listener = (index: number, { type, about }: PeerEvent): void => {
      if (type !== "dead") return;
      if (!names.has(about)) found[paused.has(index) ? "illness" : "slander"] += 1;
      else if (!paused.has(index)) found.aboutPaused += 1;
    };
    this.#listeners.add(listener);
    for (const name of names) this.#hurt.add(name);
    for (const index of indexes) this.peer(index).signal("SIGSTOP");
    await sleep(pauseMs);
    for (const index of indexes) this.peer(index).signal("SIGCONT");
    await sleep(AFTERMATH_MS);
    await this.#until("all agree after pauses", () => this.#allSeeAll());
    for (const name of names) this.#hurt.delete(name);
    this.#listeners.delete(listener);
    // These are shown apart.
    this.falseVerdicts = before;
    return found;
  }

  #indexes(): number[] {
    return Array.from({ length: this.size }, (_, at) => at + 1);
  }

  async #start(index: number): Promise<void> {
    this.#seen.set(index, new Set());
    const peer = await this.system.start(index, this.#round, (event) => this.#note(index, event));
    this.#peers.set(index, peer);
  }

  #note(index: number, event: PeerEvent): void {
    const seen = this.#seen.get(index);
    if (event.type === "alive") {
      seen?.add(event.about);
      this.#lastAliveMs = Math.max(this.#lastAliveMs, event.atMs);
    }
    if (event.type === "dead" || event.type === "left") {
      seen?.delete(event.about);
      // What a paused peer thinks of the others is its own illness, but it counts all the same.
      if (!this.#hurt.has(event.about)) this.falseVerdicts += 1;
    }
    for (const listener of [...this.#listeners]) listener(index, event);
  }

  #allSeeAll(): boolean {
    return [...this.#seen.values()].every((names) => names.size >= this.size - 1);
  }

  async #deaths(name: string): Promise<{ first: number; last: number }> {
    const startMs = monotonicMs();
    const known = new Map<number, number>();
    await this.#until(
      `all know of ${name}'s death`,
      () => known.size === this.size - 1,
      (index, event) => {
        if (event.type !== "dead" || event.about !== name || known.has(index)) return;
        known.set(index, event.atMs - startMs);
      },
    );
    const times = [...known.values()];
    return { first: Math.min(...times), last: Math.max(...times) };
  }

  /** Resolves once the condition holds; looks after each event. */
  async #until(
    what: string,
    holds: () => boolean,
    listen: (index: number, event: PeerEvent) => void = () => undefined,
  ): Promise<void> {
    if (holds()) return;
    await new Promise<void>((resolve, reject) => {
      const listener = (index: number, event: PeerEvent): void => {
        listen(index, event);
        if (!holds()) return;
        finish();
        resolve();
      };
      const timer = setTimeout(() => {
        finish();
        const lacking = [...this.#seen].map(([index, names]) => `${index}:${names.size}`);
        reject(new Error(`${this.system.name}: never: ${what} (${lacking.join(" ")})`));
      }, PATIENCE_MS);
      const finish = (): void => {
        clearTimeout(timer);
        this.#listeners.delete(listener);
      };
      this.#listeners.add(listener);
    });
  }
}

export async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
