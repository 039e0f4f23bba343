/**
 * A host for the tests of attaching: the real state machine and ledger, namespaces in memory that
 * die when nothing holds them. `crash` and `boot` end the daemon's life without a word.
 */

import type { NamespaceView } from "../../../overlay/attach/choice.ts";
import type { EndStep } from "../../../overlay/attach/end-steps.ts";
import type { ContainerTarget, Namespaces } from "../../../overlay/attach/ports.ts";
import { Attach, Ledger } from "../../../overlay/index.ts";
import { containerEnd, type LocalEndpoint, type Network } from "../../../overlay/model.ts";
import type { ObservedLink } from "../../../overlay/state.ts";
import { MemoryStore } from "../../lib/memory-store.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";
import { settle, VirtualClock } from "../../lib/virtual-clock.ts";
import { FakeAddresses, FakeHost, SUBNET } from "./docker-world.ts";

const LINK: ObservedLink = {
  name: "",
  kind: "veth",
  up: true,
  mtuBytes: 1500,
  mac: "02:00:00:00:00:01",
  master: undefined,
  cidrs: [],
  stp: false,
  snoops: undefined,
  portLearning: true,
  portAllGroups: undefined,
  vxlan: undefined,
};

export function link(name: string, more: Partial<ObservedLink> = {}): ObservedLink {
  return { ...LINK, ...more, name };
}

/** One namespace: reachable by its paths, alive while `held`. */
export class FakeNamespace {
  readonly inode: number;
  readonly cookie: string;
  readonly links = new Map<string, ObservedLink>([["lo", link("lo")]]);
  hasDefaultRoute = false;
  hasResolver = false;

  constructor(inode: number, cookie: string) {
    this.inode = inode;
    this.cookie = cookie;
  }
}

export class AttachWorld {
  readonly clock = new VirtualClock();
  readonly log = new QuietLog();
  readonly store = new MemoryStore();
  readonly addresses = new FakeAddresses();
  readonly host = new FakeHost();
  readonly root = new FakeNamespace(1, "1");
  /** Path → namespace. */
  readonly paths = new Map<string, FakeNamespace>([["/host", this.root]]);
  readonly containers = new Map<string, ContainerTarget>();
  readonly applied: EndStep[] = [];
  /** Returns an error text to make a step fail. */
  fault: (step: EndStep) => string | undefined = () => undefined;
  bootId = "boot-1";
  /** Ids of pairs that are lost. */
  lost: string[] = [];
  firewall = false;
  readonly moved: string[] = [];
  attach: Attach | undefined;
  ledger: Ledger | undefined;
  #seed = 1;
  #passes = 0;

  /** A namespace at a path. */
  add(path: string, inode: number, cookie = String(inode)): FakeNamespace {
    const namespace = new FakeNamespace(inode, cookie);
    this.paths.set(path, namespace);
    return namespace;
  }

  get now(): Attach {
    if (this.attach === undefined) throw new Error("no daemon runs");
    return this.attach;
  }

  get state(): Ledger {
    if (this.ledger === undefined) throw new Error("no daemon runs");
    return this.ledger;
  }

  async start(): Promise<void> {
    const { clock, log, addresses, host } = this;
    const ledger = await Ledger.open(this.store, log);
    const attach = new Attach(
      {
        ledger,
        addresses,
        datapath: {
          ...host.datapath,
          plug: async (endpoint: LocalEndpoint) => {
            await host.datapath.plug(endpoint);
            this.root.links.set(containerEnd(endpoint.id), link(containerEnd(endpoint.id)));
            this.lost = this.lost.filter((id) => id !== endpoint.id);
          },
          moveNetwork: async (from: Pick<Network, "id">, to: Network) => {
            this.moved.push(`${from.id.slice(0, 4)} ${to.id.slice(0, 4)}`);
          },
        },
        publisher: host.publisher,
        dns: host.dns,
        plan: { place: () => ({ vni: 256, mtuBytes: 1450 }) },
        namespaces: this.#namespaces(),
        known: () => undefined,
        subnets: () => [SUBNET],
        findContainer: async (word) => this.containers.get(word),
        kernel: () => ({ passes: this.#passes, unplugged: this.lost }),
        clock,
        random: new SeededRandom(this.#seed++),
        log,
      },
      { self: "a".repeat(32), defaultNetwork: { name: "tsweave", subnet: SUBNET }, dns: true },
    );
    this.ledger = ledger;
    await attach.start();
    this.attach = attach;
  }

  /** kill -9 and a new daemon. What DNS held open is gone with the process. */
  async crash(): Promise<void> {
    void this.attach?.stop();
    this.host.hooks.clear();
    this.host.endpoints.clear();
    this.host.names.clear();
    await this.start();
  }

  /** Lets so much time pass, with what the daemon does in it. */
  async pass(ms: number): Promise<void> {
    for (let at = 0; at < ms; at += 100) {
      this.clock.advance(100);
      this.#passes += 1;
      for (let turn = 0; turn < 20; turn++) await settle();
    }
  }

  /** What was applied since the last look, by kind. */
  steps(): string[] {
    return this.applied.splice(0).map(({ kind }) => kind);
  }

  #namespaces(): Namespaces {
    return {
      hostPath: "/host",
      bootId: async () => this.bootId,
      inodeAt: async (path) => this.paths.get(path)?.inode,
      cookieAt: async (path) => this.paths.get(path)?.cookie ?? "",
      find: async (inode) => [...this.paths].find(([, one]) => one.inode === inode)?.[0],
      look: async (path) => this.#view(path),
      apply: async (steps) => {
        this.applied.push(...steps);
        return steps.flatMap((step) => {
          const error = this.fault(step) ?? this.#apply(step);
          return error === undefined ? [] : [{ step, error }];
        });
      },
      passFirewall: async (allow) => {
        this.firewall = allow;
      },
    };
  }

  #view(path: string): NamespaceView {
    const namespace = this.paths.get(path);
    if (namespace === undefined) throw new Error(`no namespace ${path}`);
    const { links, hasDefaultRoute, hasResolver } = namespace;
    return { links: new Map(links), routes: [], hasDefaultRoute, hasResolver };
  }

  #apply(step: EndStep): string | undefined {
    const { links } = this.root;
    if (step.kind === "gateway-bridge-add") links.set("tsweave_gw", link("tsweave_gw"));
    if (step.kind === "host-end-del") links.delete(step.device);
    if (step.kind === "gateway-port") {
      links.set(step.device, link(step.device, { master: "tsweave_gw" }));
    }
    if (step.kind === "end-move" || step.kind === "gateway-pair") {
      const target = this.paths.get(step.target);
      if (target === undefined) return `argument "${step.target}" is wrong`;
      target.links.set(step.name, link(step.name));
    }
    if (step.kind === "end-move") links.delete(step.device);
    return undefined;
  }
}
