/** Steps become commands on the hosts. Each is printed as it is run, so that it can be repeated. */
import { setTimeout as sleep } from "node:timers/promises";
import { BUNDLE } from "../lib/mesh-hosts.ts";
import { type Action, type Churn, type Fault, isChurn, type Step, stepText } from "./action.ts";
import { commandsOf, isExpected } from "./commands.ts";
import type { Facts, FaultSpan, Refusal } from "./facts.ts";
import { Removals } from "./removals.ts";
import { STATE, type World } from "./world.ts";

const COMMAND_MS = 60_000;
/** A host that is off is dead for all others after so long. */
const DEAD_MS = 6_000;

export class Performer {
  readonly #world: World;
  readonly #facts: Facts;
  readonly #say: (line: string) => void;
  /** One step after the other on each of these; BOUNDED: four a host and one for the LAN. */
  readonly #queues = new Map<string, Promise<void>>();
  #lan: Promise<void> = Promise.resolve();
  /** BOUNDED: by the run. Containers whose first start, with `--ip`, was not granted yet. */
  readonly #unserved = new Set<string>();
  readonly #removals: Removals;

  constructor(world: World, facts: Facts, say: (line: string) => void) {
    this.#world = world;
    this.#facts = facts;
    this.#say = say;
    this.#removals = new Removals(world);
  }

  /** To be called when all faults are healed: what could not be said in them is said. */
  async settle(): Promise<void> {
    await this.#removals.settle();
  }

  /** Starts each step at its time; resolves when the last fault of the round has ended. */
  async round(steps: readonly Step[]): Promise<void> {
    const startMs = this.#world.nowMs;
    for (const step of steps) {
      await sleep(Math.max(0, startMs + step.atMs - this.#world.nowMs));
      const queue = queueOf(step.action);
      const before = this.#queues.get(queue) ?? Promise.resolve();
      this.#queues.set(
        queue,
        before.then(() => this.#perform(step)),
      );
    }
    await Promise.all(this.#queues.values());
  }

  async #perform(step: Step): Promise<void> {
    this.#say(`${(this.#world.nowMs / 1000).toFixed(1).padStart(6)} s  ${stepText(step)}`);
    const { action } = step;
    if (isChurn(action)) {
      await this.#churn(step.number, action);
      return;
    }
    const span: FaultSpan = {
      step: step.number,
      kind: action.kind,
      host: "host" in action ? action.host : null,
      fromMs: this.#world.nowMs,
      toMs: Number.POSITIVE_INFINITY,
    };
    this.#facts.faults.push(span);
    try {
      await this.#fault(step.number, action);
    } catch (error) {
      // Two faults may meet: what this one could not do, the healing does.
      this.#say(`          #${step.number} was cut short: ${String(error).split("\n")[0]}`);
    }
    span.toMs = this.#world.nowMs;
  }

  async #churn(step: number, action: Churn): Promise<void> {
    for (const argv of commandsOf(action)) {
      this.#facts.commands += 1;
      const needsOthers = this.#needsOthers(action);
      await this.#command({ step, host: action.host, needsOthers }, argv, (code, stderr) => {
        const isStart = action.kind === "run" || action.kind === "restart";
        if (code === 0 && isStart) this.#unserved.delete(action.name);
        return code === 0 || isExpected(action, stderr);
      });
    }
  }

  /** Whether it asks for an address that may be another host's: a first start with `--ip` does. */
  #needsOthers(action: Churn): boolean {
    if (action.kind === "run" && action.ip !== null) this.#unserved.add(action.name);
    if (action.kind === "rename" && this.#unserved.delete(action.name)) {
      this.#unserved.add(action.to);
    }
    return "name" in action && this.#unserved.has(action.name);
  }

  /**
   * Runs a command, and resolves with whether it was well; what is not is filed as a refusal, to be
   * judged later.
   */
  async #command(
    refused: Pick<Refusal, "step" | "host" | "needsOthers">,
    argv: readonly string[],
    isWell: (code: number | null, stderr: string) => boolean,
  ): Promise<boolean> {
    const fromMs = this.#world.nowMs;
    let text = "";
    try {
      const { code, stderr } = await this.#world.mesh.exec(refused.host, argv, COMMAND_MS);
      if (isWell(code, stderr)) return true;
      text = stderr.trim();
    } catch (error) {
      text = String(error).split("\n")[0] ?? "";
    }
    const toMs = this.#world.nowMs;
    // A start that failed leaves a container behind, which `docker run` would not start again.
    this.#facts.refusals.push({ ...refused, fromMs, toMs, text });
    this.#say(`          #${refused.step} failed: ${text.split("\n").slice(0, 3).join(" / ")}`);
    return false;
  }

  async #fault(step: number, fault: Fault): Promise<void> {
    const { mesh } = this.#world;
    switch (fault.kind) {
      case "partition": {
        await this.#onLan(() => mesh.lab.partition(fault.groups, { oneWay: fault.isOneWay }));
        await sleep(fault.forMs);
        return await this.#onLan(() => mesh.lab.heal());
      }
      case "loss":
        await this.#onLan(() => mesh.lab.loss(fault.host, fault.percent));
        await sleep(fault.forMs);
        return await this.#onLan(() => mesh.lab.loss(fault.host, 0));
      case "mtu":
        await this.#onLan(() => mesh.lab.mtu(fault.host, fault.bytes));
        await sleep(fault.forMs);
        return await this.#onLan(() => mesh.lab.mtu(fault.host, 1500));
      case "link":
        await this.#onLan(() => mesh.lab.link(fault.host, "down"));
        await sleep(fault.forMs);
        return await this.#onLan(() => mesh.lab.link(fault.host, "up"));
      case "rate":
        await this.#onLan(() => mesh.lab.rate(fault.host, fault.mbit));
        await sleep(fault.forMs);
        return await this.#onLan(() => mesh.lab.rate(fault.host, 0));
      case "clock":
        await this.#world.setClock(fault.host, fault.seconds * 1000);
        await sleep(fault.forMs);
        return await this.#world.setClock(fault.host, 0);
      case "rmpeer":
        return await this.#removePeer(step, fault);
      case "nft":
      case "neigh":
      case "fdb":
        await mesh.ok(fault.host, ["sh", "-c", KERNEL_SCRIPTS[fault.kind]]);
        return;
      default:
        return await this.#hostFault(fault);
    }
  }

  /** Every other host says that this one is gone for good, at once; then it is back, or another. */
  async #removePeer(step: number, fault: Extract<Fault, { kind: "rmpeer" }>): Promise<void> {
    const { host } = fault;
    const peer = await this.#removals.peerOf(host);
    await this.#onLan(() => this.#world.host(host).crash());
    await sleep(DEAD_MS);
    const argv = [process.execPath, BUNDLE, "rmpeer", host, "--yes"];
    // It may still wait for another host (6), or be removed already by the word of another (5).
    const isWell = (code: number | null): boolean => code === 0 || code === 5 || code === 6;
    const others = this.#world.hosts.filter((one) => one !== host);
    const heard = await Promise.all(
      others.map((one) => this.#command({ step, host: one, needsOthers: true }, argv, isWell)),
    );
    await sleep(fault.forMs);
    if (fault.isReplaced) this.#world.loseState(host);
    if (fault.isReplaced && !heard.includes(true)) this.#removals.owe(peer);
    await this.#onLan(() => this.#world.boot(host));
  }

  async #hostFault(fault: Extract<Fault, { forMs: number; host: string }>): Promise<void> {
    const { mesh } = this.#world;
    const host = this.#world.host(fault.host);
    if (fault.kind === "power") {
      await this.#onLan(() => host.crash());
      await sleep(fault.forMs);
      return await this.#onLan(() => this.#world.boot(fault.host));
    }
    if (fault.kind === "engine-restart" || fault.kind === "engine-kill") {
      if (fault.kind === "engine-kill") await host.killEngine();
      else await host.stopEngine();
      await sleep(fault.forMs);
      return await host.startEngine();
    }
    if (fault.kind === "disk-full") {
      await mesh.exec(fault.host, ["dd", "if=/dev/zero", `of=${STATE}/fill`, "bs=4k"]);
      await sleep(fault.forMs);
      await mesh.ok(fault.host, ["rm", "-f", `${STATE}/fill`]);
      return;
    }
    const pid = await this.#world.daemonPid(fault.host);
    if (pid === undefined) throw new Error(`no daemon on ${fault.host}`);
    const signal = fault.kind === "daemon-pause" ? "-STOP" : "-KILL";
    if (fault.kind === "daemon-stop") await mesh.cli(fault.host, "stop");
    else await mesh.ok(fault.host, ["kill", signal, String(pid)]);
    await sleep(fault.forMs);
    if (fault.kind === "daemon-pause") await mesh.ok(fault.host, ["kill", "-CONT", String(pid)]);
    else await this.#world.launch(fault.host);
  }

  /** The LAN's record is rendered whole: one change after the other. */
  async #onLan(change: () => Promise<void>): Promise<void> {
    const mine = this.#lan.then(change);
    this.#lan = mine.catch(() => undefined);
    await mine;
  }
}

const IN_NAMESPACES = (command: string): string =>
  `for ns in $(ip netns list | grep -o '^tsweave-[0-9a-f]*'); do ${command}; done`;

/** Entries of every second remote endpoint are taken away, by hand. */
const KERNEL_SCRIPTS = {
  nft: "nft add table inet tsweave_guard; nft delete table inet tsweave_guard",
  neigh: IN_NAMESPACES(
    `ip -n $ns neigh show dev vxlan0 | awk 'NR%2{print $1}' |
     while read ip; do ip -n $ns neigh del $ip dev vxlan0; done`,
  ),
  fdb: IN_NAMESPACES(
    `bridge -n $ns fdb show dev vxlan0 | awk '/ dst /&&++n%2{print $1,$3}' |
     while read mac dst; do bridge -n $ns fdb del $mac dst $dst dev vxlan0 self; done`,
  ),
};

/** Faults of one part of a host follow one another; churn goes on beside them. */
function queueOf(action: Action): string {
  if (isChurn(action)) return `churn ${action.host}`;
  if (action.kind === "partition") return "partition";
  if (action.kind.startsWith("engine")) return `engine ${action.host}`;
  if (action.kind === "clock") return `clock ${action.host}`;
  const isCable = ["loss", "mtu", "rate", "link"].includes(action.kind);
  return `${isCable ? "cable" : "fault"} ${action.host}`;
}
