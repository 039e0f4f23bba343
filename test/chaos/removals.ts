/**
 * Hosts that were replaced while nobody could say that they are gone: each other host had a fault
 * of its own. Whoever runs such a mesh says it again.
 */
import type { PeerRow } from "../../cli/control/api.ts";
import { until } from "../lab/exec.ts";
import type { World } from "./world.ts";

export class Removals {
  readonly #world: World;
  /** Peers that are to be removed. BOUNDED: by the faults of a round. */
  #owed: string[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  /** The peer that a host is now, as the first one tells it that can. */
  async peerOf(host: string): Promise<string | undefined> {
    for (const one of this.#world.hosts) {
      try {
        const { peers } = await this.#world.control<{ peers: PeerRow[] }>(one, "/v1/status/peers");
        const address = `${this.#world.mesh.address(host)}:`;
        const here = peers.find(
          (peer) => peer.address.startsWith(address) && peer.state !== "left",
        );
        if (here !== undefined) return here.id;
      } catch {
        // Its daemon does not answer: another one's may.
      }
    }
    return undefined;
  }

  /** This peer does not come back, and no host has heard it. */
  owe(peer: string | undefined): void {
    if (peer !== undefined) this.#owed.push(peer);
  }

  /** Once all is healed: says it until somebody has heard. */
  async settle(): Promise<void> {
    for (const peer of this.#owed.splice(0)) {
      const [host = ""] = this.#world.hosts;
      await until(`peer ${peer} to be removed`, async () => {
        const { code } = await this.#world.mesh.cli(host, "rmpeer", peer, "--yes");
        return code === 0 || code === 5 || code === 6;
      });
    }
  }
}
