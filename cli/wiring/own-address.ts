/**
 * This host's underlay address while it changes (DHCP, a moved cable): told to all peers, written
 * into this host's rows.
 *
 * Law: only an address that is gone is replaced, and only where the operator named none; as long as
 * there is no other one, the mesh is left as it is.
 */
import { isIP } from "node:net";
import { type HostPort, type Log, messageOf, type PeerId } from "../../mesh/index.ts";
import { endpointToWire, groupsToWire, hasAddress } from "../../overlay/index.ts";
import { chooseAdvertise, isOwnAddress } from "../advertise.ts";
import type { LaunchConfig } from "../config.ts";
import type { HealthProblem } from "../control/api.ts";
import type { OpenMesh } from "./mesh.ts";
import type { SharedRows } from "./shared-rows.ts";

export interface OwnAddressPorts {
  readonly config: Pick<LaunchConfig, "advertise" | "bind">;
  readonly mesh: Pick<OpenMesh, "node" | "engine" | "self" | "address">;
  readonly rows: Pick<SharedRows, "endpoints" | "groups">;
  /** Peers named at launch. */
  readonly peers: readonly HostPort[];
  readonly log: Log;
  /** The addresses are these from now on. */
  readonly moved: (hosts: readonly string[]) => void;
}

export class OwnAddress {
  readonly #ports: OwnAddressPorts;
  /** An operator's address may be that of a router before this host: then nothing is missed. */
  readonly #wasHere: boolean;
  #isGone = false;

  constructor(ports: OwnAddressPorts) {
    this.#ports = ports;
    this.#wasHere = isOwnAddress(ports.mesh.address().host);
  }

  /** Looks, and moves where that is due. Never rejects. */
  async check(): Promise<void> {
    const { config, mesh, log } = this.#ports;
    const { host } = mesh.address();
    const wasGone = this.#isGone;
    try {
      // A device without a carrier is not listed, and keeps its address all the same.
      this.#isGone = this.#wasHere && !isOwnAddress(host) && !(await hasAddress(host));
      if (!this.#isGone || config.advertise !== undefined) return;
      if (!wasGone) log.warn({ host }, "this host's address is gone");
      const hosts = await chooseAdvertise(this.#others(), config.bind);
      const usable = hosts.filter((one) => isIP(one) === isIP(host));
      if (usable[0] === undefined) return;
      mesh.engine.relocate([...usable, ...hosts.filter((one) => !usable.includes(one))]);
      this.#isGone = false;
      log.warn({ was: host, hosts }, "this host has another address");
      this.#rewrite(usable[0]);
      this.#ports.moved(hosts);
    } catch (error) {
      log.debug({ host, reason: messageOf(error) }, "no other address yet");
    }
  }

  problems(): HealthProblem[] {
    if (!this.#isGone) return [];
    const { host } = this.#ports.mesh.address();
    const isNamed = this.#ports.config.advertise !== undefined;
    const text = `this host has not its address ${host} any more: peers do not reach it`;
    const next = isNamed
      ? "tsweave stop, then launch with the new --advertise; running containers survive it"
      : "ip address: give it one of that kind; it is followed by itself";
    return [{ code: "ADDRESS_GONE", text, next }];
  }

  #others(): HostPort[] {
    const live = this.#ports.mesh.node.membership.members().filter(({ self }) => !self);
    return [...live.map(({ advertise }) => advertise), ...this.#ports.peers];
  }

  /** Own rows name the address that frames go to; who has met this peer knows better already. */
  #rewrite(vtep: string): void {
    const { rows, mesh } = this.#ports;
    const { tables } = mesh.node;
    const isDue = (origin: PeerId, row: { readonly vtep: string }): boolean =>
      origin === mesh.self && row.vtep !== vtep;
    for (const { origin, key, row } of [...rows.endpoints.rows()]) {
      if (isDue(origin, row)) tables.put("endpoints", key, endpointToWire({ ...row, vtep }));
    }
    for (const { origin, key, row } of [...rows.groups.rows()]) {
      if (isDue(origin, row)) tables.put("groups", key, groupsToWire({ ...row, vtep }));
    }
  }
}
