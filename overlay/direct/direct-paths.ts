/**
 * The direct paths of this host: looks at the segment, makes ways and tables, probes, and steers
 * containers' frames to where they get through.
 *
 * Laws: frames are steered to a way only when the tables carry them, and off it before these
 * forget them, so that a change of path loses nothing by itself; a path whose probes fail is left
 * within DETECTION_MS. An orderly stop goes back to the tunnels; what a killed daemon leaves goes
 * on as it is.
 */
import { type Clock, type Log, messageOf, type PeerId, type Random } from "../../mesh/index.ts";
import { canonicalIp } from "../address.ts";
import type { DirectHost } from "../io/direct-host.ts";
import type { ProbeSocket } from "../io/probe-socket.ts";
import { CoalescingWorker } from "../serial.ts";
import type { RemoteChange } from "../touched.ts";
import { type DirectScene, hostEnd, type Segment } from "./model.ts";
import { Pairs } from "./pairs.ts";
import { type DirectPlan, pairObstacle, planDirect } from "./plan.ts";
import { remembering } from "./segment.ts";
import { isSameSteer, type Steer, steersOf } from "./steering.ts";
import { PROBE_END, probeText } from "./table.ts";
import { WayTables } from "./way-tables.ts";

/** How often routes, neighbours and tables are looked at. */
const LOOK_MS = 10_000;
/** Lets the companions of a change arrive. */
const SETTLE_MS = 100;
/** What a former run left is used as long as the peers are still being met. */
const ADOPTED_MS = 10_000;

export interface DirectPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly host: DirectHost;
  readonly openSocket: (
    secret: Uint8Array,
    heard: (number: number, from: string) => void,
  ) => Promise<ProbeSocket>;
  readonly scene: () => DirectScene;
  /** Programs these addresses anew, now that isDirect answers otherwise. */
  readonly steer: (changes: readonly RemoteChange[]) => Promise<void>;
}

/** How one network's packets go to one peer, and why not directly. */
export interface PathOf {
  readonly network: string;
  readonly peer: PeerId;
  readonly isDirect: boolean;
  /** Clock.nowMs() of the last change; null where it was never tried. */
  readonly sinceMs: number | null;
  /** Null where it is direct. */
  readonly why: string | null;
}

export class DirectPaths {
  readonly #ports: DirectPorts;
  readonly #worker: CoalescingWorker;
  readonly #pairs = new Pairs();
  readonly #tables: WayTables;
  /** What leaves directly, by MAC. BOUNDED: endpoints of the mesh. */
  readonly #steered = new Map<string, Steer>();
  #plan: DirectPlan | undefined;
  #segment: Segment | undefined;
  #lookDueMs = 0;
  #probesWritten = "";
  #socket: ProbeSocket | undefined;
  #cancelProbes = (): void => undefined;
  #isOver = false;
  #trouble: string | null = null;

  constructor(ports: DirectPorts) {
    this.#ports = ports;
    this.#worker = new CoalescingWorker(ports.clock, "direct paths", () => this.#turn());
    this.#tables = new WayTables((script) => ports.host.apply(script));
  }

  /** Whether frames for a MAC at a VTEP leave by gw0 now; the desired state asks this. */
  readonly isDirect = (netns: string, mac: string, vtep: string): boolean => {
    const steer = this.#steered.get(mac);
    return steer !== undefined && steer.netns === netns && canonicalIp(steer.vtep) === vtep;
  };

  /** Begins; call it when a pass has steered what a former run left back to the tunnels. */
  async start(): Promise<void> {
    const isAdopting = await this.#ports.host.hasTables();
    this.#worker.request(isAdopting ? ADOPTED_MS : 0);
  }

  /** Peers, networks or endpoints changed. */
  changed(): void {
    if (this.#plan !== undefined) this.#worker.request(SETTLE_MS);
  }

  /** Goes back to the tunnels. The tables stay: peers may still send directly. */
  async stop(): Promise<void> {
    this.#isOver = true;
    this.#cancelProbes();
    await this.#worker.stop();
    await this.#leave([...this.#steered.values()]);
    this.#socket?.close();
  }

  /** Path of every network here to every peer. */
  paths(): PathOf[] {
    const plan = this.#plan;
    if (plan === undefined) return [];
    const { networks, peers } = this.#ports.scene();
    return networks.flatMap((network) =>
      peers.map((peer) => this.#pathOf(plan, network.name, peer.id)),
    );
  }

  #pathOf(plan: DirectPlan, network: string, id: PeerId): PathOf {
    const none = { network, peer: id, isDirect: false, sinceMs: null };
    const obstacle =
      this.#trouble ?? plan.networkObstacles.get(network) ?? plan.peerObstacles.get(id);
    const own = plan.networks.find(({ name }) => name === network);
    const peer = plan.peers.find((one) => one.id === id);
    if (own === undefined || peer === undefined) {
      return { ...none, why: obstacle ?? "not looked at yet" };
    }
    const why = pairObstacle(own, peer) ?? this.#trouble;
    if (why !== null) return { ...none, why };
    const probing = this.#pairs.of(own.netns, id)?.probing;
    if (probing === undefined) return { ...none, why: "no containers at both ends" };
    const { isUp: isDirect, sinceMs, wasUp } = probing;
    if (isDirect) return { network, peer: id, isDirect, sinceMs, why: null };
    const silent = wasUp ? "probes are no longer answered" : "probes are not answered";
    return { network, peer: id, isDirect, sinceMs, why: silent };
  }

  /** Never rejects: what fails is in the log and in `paths`, and tried again. */
  async #turn(): Promise<void> {
    const { clock, log } = this.#ports;
    try {
      await this.#follow(clock.nowMs());
      this.#trouble = null;
    } catch (error) {
      const text = messageOf(error);
      if (text !== this.#trouble) log.warn({ error: text }, "direct paths");
      this.#trouble = text;
      this.#lookDueMs = 0;
      this.#tables.doubt();
      this.#probesWritten = "";
    }
    this.#armProbes();
    this.#worker.request(this.#trouble === null ? LOOK_MS : LOOK_MS / 2);
  }

  async #follow(nowMs: number): Promise<void> {
    const scene = this.#ports.scene();
    const segment = await this.#look(scene, nowMs);
    const plan = planDirect(scene, segment);
    this.#plan = await this.#withWays(plan, segment);
    // What was made has a MAC now.
    if (this.#lookDueMs === 0) await this.#look(scene, nowMs);
    const used = new Set(scene.remotes.map(({ network, vtep }) => `${network} ${vtep}`));
    const isWanted = (network: string, vtep: string) =>
      scene.inUse.has(network) && used.has(`${network} ${vtep}`);
    this.#pairs.follow(this.#plan, isWanted, nowMs);
    const wanted = steersOf(this.#pairs.up(), scene.remotes);
    await this.#leave(
      [...this.#steered.values()].filter((steer) => !isSameSteer(steer, wanted.get(steer.mac))),
    );
    this.#tables.want(this.#plan, wanted.values(), nowMs);
    await this.#tables.write();
    await this.#writeProbes(this.#plan);
    const coming = [...wanted.values()].filter(({ mac }) => !this.#steered.has(mac));
    for (const steer of coming) this.#steered.set(steer.mac, steer);
    if (coming.length > 0) await this.#ports.steer(coming);
  }

  async #look(scene: DirectScene, nowMs: number): Promise<Segment> {
    const { host } = this.#ports;
    const vteps = scene.peers.map(({ vtep }) => vtep);
    const isKnown = vteps.every((vtep) => this.#segment?.hops.has(vtep) === true);
    if (this.#segment !== undefined && isKnown && nowMs < this.#lookDueMs) return this.#segment;
    if (!(await host.hasTables())) {
      this.#tables.doubt();
      this.#probesWritten = "";
    }
    this.#segment = remembering(await host.look(vteps), this.#segment);
    this.#lookDueMs = nowMs + LOOK_MS;
    return this.#segment;
  }

  /** The plan without networks whose way out cannot be made yet. */
  async #withWays(plan: DirectPlan, segment: Segment): Promise<DirectPlan> {
    if (plan.peers.length === 0) return plan;
    if (!segment.devices.has(PROBE_END)) {
      await this.#ports.host.makeProbeEnds();
      this.#lookDueMs = 0;
    }
    const networkObstacles = new Map(plan.networkObstacles);
    const networks = [];
    for (const network of plan.networks) {
      try {
        if (!segment.devices.has(hostEnd(network.netns))) {
          await this.#ports.host.makeWay(network);
          this.#lookDueMs = 0;
          await this.#leave(
            [...this.#steered.values()].filter(({ netns }) => netns === network.netns),
          );
        }
        networks.push(network);
      } catch (error) {
        networkObstacles.set(network.name, `no way out of its namespace: ${messageOf(error)}`);
      }
    }
    return { ...plan, networks, networkObstacles };
  }

  async #leave(steers: readonly Steer[]): Promise<void> {
    if (steers.length === 0) return;
    for (const { mac } of steers) this.#steered.delete(mac);
    await this.#ports.steer(steers);
  }

  async #writeProbes(plan: DirectPlan): Promise<void> {
    const { host, openSocket, random, clock } = this.#ports;
    const mac = this.#segment?.devices.get(PROBE_END);
    if (mac === undefined || plan.peers.length === 0) return;
    this.#socket ??= await openSocket(random.bytes(8), (number, from) => {
      const isNews = this.#pairs.heard(number, from, clock.nowMs());
      if (isNews) this.#worker.request();
    });
    const networks = plan.networks.map((network) => ({
      ...network,
      slot: this.#pairs.networkSlot(network.netns),
    }));
    const devices = [...plan.devices].map(([name, own]) => ({
      ...{ name, mac: own },
      peers: plan.peers
        .filter(({ device }) => device === name)
        .map((peer) => ({ mac: peer.mac, slot: this.#pairs.peerSlot(peer.id) })),
    }));
    const script = probeText(networks, devices, { mac, port: this.#socket.port });
    if (script === this.#probesWritten) return;
    await host.apply(script);
    this.#probesWritten = script;
  }

  #armProbes(): void {
    const { clock } = this.#ports;
    this.#cancelProbes();
    const dueMs = this.#pairs.dueMs();
    if (this.#isOver || dueMs === undefined || this.#socket === undefined) return;
    const delayMs = Math.max(1, dueMs - clock.nowMs());
    this.#cancelProbes = clock.timer("probes", delayMs, () => this.#probe());
  }

  #probe(): void {
    const { probes, isNews } = this.#pairs.turn(this.#ports.clock.nowMs());
    for (const { vni, number, to } of probes) this.#socket?.send(vni, number, to);
    if (isNews) {
      this.#lookDueMs = 0;
      this.#worker.request();
    }
    this.#armProbes();
  }
}
