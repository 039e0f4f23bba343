/** The recorder: what runs where each second, what names answer, which pings are lost. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Background } from "../lab/background.ts";
import type { Facts } from "./facts.ts";
import { type World, watcher } from "./world.ts";

const LOOK_EVERY_MS = 1_000;

/** Looks at every engine each second and asks every host's watcher for one name. */
export class Recorder {
  readonly #world: World;
  readonly #facts: Facts;
  #isEnded = false;
  #loop: Promise<void> = Promise.resolve();

  constructor(world: World, facts: Facts) {
    this.#world = world;
    this.#facts = facts;
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#isEnded = true;
    await this.#loop;
  }

  async #run(): Promise<void> {
    for (let turn = 0; !this.#isEnded; turn += 1) {
      await Promise.all(this.#world.hosts.map((host) => this.#look(host)));
      const host = this.#world.hosts[turn % this.#world.hosts.length] ?? "";
      const { sightings } = this.#facts;
      // One of those seen in the last minutes: alive or dead.
      const recent = sightings.slice(-400);
      const one = recent[(turn * 37) % Math.max(1, recent.length)];
      if (one !== undefined) await this.#ask(host, one.name);
      await sleep(LOOK_EVERY_MS);
    }
  }

  async #look(host: string): Promise<void> {
    const before = this.#world.nowMs;
    const found = await this.#world.running(host);
    const atMs = (before + this.#world.nowMs) / 2;
    for (const one of found ?? []) this.#facts.sightings.push({ ...one, atMs, host });
  }

  async #ask(host: string, name: string): Promise<void> {
    try {
      const argv = ["docker", "exec", watcher(host), "nslookup", `${name}.`];
      const { stdout } = await this.#world.mesh.exec(host, argv, 8_000);
      const ips = addressesIn(stdout);
      this.#facts.answers.push({ atMs: this.#world.nowMs, host, name, ips });
    } catch {
      // The host has no power, or its engine hangs: no answer is no fact.
    }
  }
}

/** The addresses that nslookup of busybox found; the first one it prints is the server's. */
export function addressesIn(nslookup: string): string[] {
  const [, answer = ""] = nslookup.split(/\n\n/s);
  return [...answer.matchAll(/^Address(?: \d+)?:\s*([\d.]+)/gm)].map(([, ip = ""]) => ip).sort();
}

/** A ping ten times a second from the watcher of one host to that of the next. */
export class PingPair {
  readonly #world: World;
  readonly #facts: Facts;
  readonly from: string;
  readonly to: string;
  readonly #ping: Background;
  /** When so many bytes of output had come. BOUNDED: by a round. */
  readonly #marks: { atMs: number; bytes: number }[] = [];
  readonly #timer: NodeJS.Timeout;

  private constructor(world: World, facts: Facts, pair: [string, string], ping: Background) {
    this.#world = world;
    this.#facts = facts;
    [this.from, this.to] = pair;
    this.#ping = ping;
    this.#timer = setInterval(() => {
      this.#marks.push({ atMs: world.nowMs, bytes: ping.output.length });
    }, 100);
  }

  /** Pings from the network namespace of the watcher, so that no engine is needed for it. */
  static async start(world: World, facts: Facts, from: string, to: string): Promise<PingPair> {
    const pid = await world.mesh.ok(from, [
      ...["docker", "inspect", "-f", "{{.State.Pid}}", watcher(from)],
    ]);
    const ip = (await world.running(to))?.find(
      ({ name, network }) => name === watcher(to) && network === "tsweave",
    )?.ip;
    if (ip === undefined) throw new Error(`${watcher(to)} has no address`);
    const ns = `--net=/proc/${pid.trim()}/ns/net`;
    const ping = await world
      .host(from)
      .spawn(["nsenter", ns, "--", "busybox", "ping", "-i", "0.1", ip]);
    return new PingPair(world, facts, [from, to], ping);
  }

  /** Ends it and files what was lost. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#marks.push({ atMs: this.#world.nowMs, bytes: this.#ping.output.length });
    if (this.#world.host(this.from).isOn) await this.#ping.kill();
    let next = 0;
    let lastMs = this.#marks[0]?.atMs ?? 0;
    for (const match of this.#ping.output.matchAll(/ seq=(\d+) /g)) {
      const seq = Number(match[1]);
      this.#facts.pings += 1;
      const end = match.index;
      const atMs = this.#marks.find(({ bytes }) => bytes >= end)?.atMs ?? this.#world.nowMs;
      for (let lost = next; lost < seq; lost += 1) {
        const sentMs = atMs - (seq - lost) * 100;
        this.#facts.lost.push({ atMs: sentMs, from: this.from, to: this.to, seq: lost });
      }
      next = Math.max(next, seq + 1);
      lastMs = atMs;
    }
    // What came after the last answer, whether ping went on or not; the last second is under way.
    for (let atMs = lastMs + 100; atMs < this.#world.nowMs - 1_000; atMs += 100) {
      this.#facts.lost.push({ atMs, from: this.from, to: this.to, seq: next });
      next += 1;
    }
  }
}
