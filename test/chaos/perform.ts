/** Steps become commands on the hosts. Each is printed as it is run, so that it can be repeated. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Action, type Churn, type Fault, isChurn, type Step, stepText } from "./action.ts";
import type { Facts, FaultSpan } from "./facts.ts";
import { STATE, type World } from "./world.ts";

const COMMAND_MS = 60_000;
/** Refusals that say only that an earlier step did not happen. */
const NOT_AS_PLANNED = new RegExp(
  [
    ...["No such container", "in use by container", "not running", "not connected"],
    ...["task .* already exists"],
  ].join("|"),
);
/** Of a connection that is there already; of a start it would be an endpoint left behind. */
const IS_CONNECTED = /already exists in network/;
const SERVE = "mkdir -p /www; hostname > /www/index.html; exec httpd -f -h /www";

export class Performer {
  readonly #world: World;
  readonly #facts: Facts;
  readonly #say: (line: string) => void;
  /** One step after the other on each of these; BOUNDED: two a host and one for the LAN. */
  readonly #queues = new Map<string, Promise<void>>();
  #lan: Promise<void> = Promise.resolve();

  constructor(world: World, facts: Facts, say: (line: string) => void) {
    this.#world = world;
    this.#facts = facts;
    this.#say = say;
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
      await this.#fault(action);
    } catch (error) {
      // Two faults may meet: what this one could not do, the healing does.
      this.#say(`          #${step.number} was cut short: ${String(error).split("\n")[0]}`);
    }
    span.toMs = this.#world.nowMs;
  }

  async #churn(step: number, action: Churn): Promise<void> {
    const fromMs = this.#world.nowMs;
    const argv = ["docker", ...dockerArgs(action)];
    let text = "";
    try {
      this.#facts.commands += 1;
      const { code, stderr } = await this.#world.mesh.exec(action.host, argv, COMMAND_MS);
      if (code === 0 || NOT_AS_PLANNED.test(stderr)) return;
      if (action.kind === "connect" && IS_CONNECTED.test(stderr)) return;
      text = stderr.trim();
    } catch (error) {
      text = String(error).split("\n")[0] ?? "";
    }
    // A start that failed leaves a container behind, which `docker run` would not start again.
    const { host } = action;
    const isIpAsked = action.kind === "run" && action.ip !== null;
    const toMs = this.#world.nowMs;
    this.#facts.refusals.push({ step, host, isIpAsked, fromMs, toMs, text });
    this.#say(`          #${step} failed: ${text.split("\n")[0]}`);
  }

  async #fault(fault: Fault): Promise<void> {
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
      case "nft":
      case "neigh":
      case "fdb":
        await mesh.ok(fault.host, ["sh", "-c", KERNEL_SCRIPTS[fault.kind]]);
        return;
      default:
        return await this.#hostFault(fault);
    }
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
  const isCable = action.kind === "loss" || action.kind === "mtu" || action.kind === "link";
  return `${isCable ? "cable" : "fault"} ${action.host}`;
}

function dockerArgs(action: Churn): string[] {
  switch (action.kind) {
    case "run":
      return [
        ...["run", "-d", "--net", "tsweave", "--name", action.name, "--stop-timeout", "1"],
        ...(action.ip === null ? [] : ["--ip", action.ip]),
        ...(action.alias === null ? [] : ["--network-alias", action.alias]),
        ...(action.isRestarted ? ["--restart", "always"] : []),
        ...["busybox", "sh", "-c", SERVE],
      ];
    case "rm":
      return ["rm", "-f", action.name];
    case "restart":
      return ["restart", "-t", "1", action.name];
    case "rename":
      return ["rename", action.name, action.to];
    case "connect": {
      const alias = action.alias === null ? [] : ["--alias", action.alias];
      return ["network", "connect", ...alias, action.network, action.name];
    }
    default:
      return ["network", "disconnect", action.network, action.name];
  }
}
