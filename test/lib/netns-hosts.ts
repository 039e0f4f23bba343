/**
 * Two or more "hosts" as network namespaces on one LAN, each with its own kernel adapter and
 * reconciler, for tests of the data path without engines. Everything is removed by `close`.
 */
import type { Clock } from "../../mesh/index.ts";
import { run } from "../../overlay/io/exec.ts";
import { LinuxKernel } from "../../overlay/io/linux-kernel.ts";
import { ToolSessions } from "../../overlay/io/tool-sessions.ts";
import {
  containerEnd,
  type LocalEndpoint,
  type Network,
  netnsName,
  type RemoteEndpoint,
} from "../../overlay/model.ts";
import type { ReconcileInput } from "../../overlay/pass.ts";
import { Reconciler } from "../../overlay/reconcile.ts";
import { QuietLog } from "./quiet-log.ts";

export const realClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  timer: (_name, delayMs, fire) => {
    const timer = setTimeout(fire, delayMs);
    return () => clearTimeout(timer);
  },
};

export interface NetnsHost {
  /** Namespace that plays the host. */
  readonly netns: string;
  readonly vtep: string;
  readonly peer: string;
  readonly network: Network;
  readonly kernel: LinuxKernel;
  readonly tools: ToolSessions;
  readonly reconciler: Reconciler;
  readonly log: QuietLog;
  /** What the reconciler reads; change it freely. */
  input: ReconcileInput;
}

/** Runs a command line (split at spaces) and returns its stdout; throws when it fails. */
export async function sh(line: string): Promise<string> {
  return (await run(line.split(" "))).stdout;
}

/** The exit code of a command line. */
export async function exitCode(line: string): Promise<number> {
  return (await run(line.split(" "), { tolerant: true })).exitCode;
}

export class NetnsLab {
  readonly #tag: string;
  readonly #namespaces: string[] = [];
  readonly hosts: NetnsHost[] = [];

  /** `tag` keeps the names of labs apart: at most 6 letters and digits. */
  constructor(tag: string) {
    this.#tag = tag;
  }

  /** Creates the LAN and `count` hosts 192.0.2.1, .2, … on it. */
  async open(count: number): Promise<void> {
    const lan = await this.#addNetns("lan");
    await sh(`ip -n ${lan} link add lan0 type bridge`);
    await sh(`ip -n ${lan} link set lan0 up`);
    const paths = ["ip", "ip6", "arp"].map((t) => `net/bridge/bridge-nf-call-${t}tables`);
    for (const path of paths) {
      const script = `test ! -e /proc/sys/${path} || echo 0 > /proc/sys/${path}`;
      await run(["nsenter", `--net=/run/netns/${lan}`, "sh", "-c", script]);
    }
    for (let index = 1; index <= count; index++) {
      const netns = await this.#addNetns(`h${index}`);
      const peer = `peer name eth0 netns ${netns}`;
      await sh(`ip -n ${lan} link add port${index} master lan0 type veth ${peer}`);
      await sh(`ip -n ${lan} link set port${index} up`);
      await sh(`ip -n ${netns} addr add 192.0.2.${index}/24 dev eth0`);
      await sh(`ip -n ${netns} link set eth0 up`);
      await sh(`ip -n ${netns} link set lo up`);
      this.hosts.push(this.#makeHost(index, netns));
    }
  }

  /** A namespace that plays a container. */
  async container(name: string): Promise<string> {
    return await this.#addNetns(name);
  }

  /** Plugs an endpoint on a host and does libnetwork's part: moves, addresses, brings up. */
  async attach(host: NetnsHost, endpoint: LocalEndpoint, container: string): Promise<void> {
    host.input = { ...host.input, locals: [...host.input.locals, endpoint] };
    await host.reconciler.plug(endpoint, host.network);
    const device = containerEnd(endpoint.id);
    await sh(`ip -n ${host.netns} link set ${device} netns ${container} name eth0`);
    await sh(`ip -n ${container} addr add ${endpoint.ip}/12 dev eth0`);
    await sh(`ip -n ${container} link set eth0 up`);
    await sh(`ip -n ${container} link set lo up`);
  }

  /** Removes everything, whatever state it is in. */
  async close(): Promise<void> {
    for (const host of this.hosts) {
      await host.reconciler.stop();
      await host.kernel.close();
      await host.tools.close();
      await host.reconciler.removeNetwork(host.network);
    }
    for (const netns of this.#namespaces.toReversed()) await exitCode(`ip netns del ${netns}`);
  }

  #makeHost(index: number, netns: string): NetnsHost {
    const log = new QuietLog();
    const prefix = ["nsenter", `--net=/run/netns/${netns}`];
    const tools = new ToolSessions({ clock: realClock, hostNetns: netns, prefix });
    const kernel = new LinuxKernel({ log, clock: realClock, tools, hostNetns: netns, prefix });
    const network: Network = {
      name: "tsweave",
      id: `${index}${this.#tag}`.padEnd(10, "0").padEnd(64, "f"),
      vni: 256,
      subnet: "10.32.0.0/12",
      gateway: "10.32.0.1",
      mtuBytes: 1450,
      internal: false,
    };
    const vtep = `192.0.2.${index}`;
    const peer = `${index}`.repeat(32);
    const input: ReconcileInput = {
      networks: [network],
      locals: [],
      remotes: [],
      options: { vxlanPort: 4789, self: { peer, vtep } },
      keep: { mayRemove: () => true, mayRemoveEndpoint: () => true },
    };
    const reconciler = new Reconciler({ kernel, clock: realClock, log }, () => host.input);
    const host: NetnsHost = { netns, vtep, peer, network, kernel, tools, reconciler, log, input };
    return host;
  }

  async #addNetns(name: string): Promise<string> {
    const netns = `tw${this.#tag}-${name}`;
    await sh(`ip netns add ${netns}`);
    this.#namespaces.push(netns);
    return netns;
  }
}

/** The endpoint of one host as the others see it. */
export function asRemote(host: NetnsHost, endpoint: LocalEndpoint): RemoteEndpoint {
  return { ...endpoint, vtep: host.vtep, peer: host.peer };
}

/** Name of the overlay namespace of a host's network. */
export function overlayNetns(host: NetnsHost): string {
  return netnsName(host.network);
}
