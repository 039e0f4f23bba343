/** Sealed and plain peers on a network in memory, for the seal's tests. */

import type { HostPort, Streams } from "../../../mesh/index.ts";
import { Keyring, keyFromSecret, type SealKey } from "../../../mesh/wire/keyring.ts";
import { PacketChannels } from "../../../mesh/wire/packet.ts";
import { Seal } from "../../../mesh/wire/seal.ts";
import { Strangers } from "../../../mesh/wire/seal-strangers.ts";
import { sealedStreams } from "../../../mesh/wire/seal-streams.ts";
import { MemoryNetwork } from "../../lib/memory-network.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";

export const key = (byte: number): SealKey => keyFromSecret(Buffer.alloc(32, byte));

export interface Recorded {
  readonly from: HostPort;
  readonly to: HostPort;
  readonly bytes: Uint8Array;
}

export interface TestPeer {
  readonly at: HostPort;
  readonly seal: Seal | undefined;
  readonly strangers: Strangers;
  readonly log: QuietLog;
  readonly streams: Streams;
  /** Payloads that the tables channel delivered, as text. */
  readonly got: string[];
  say(to: TestPeer, text: string): void;
  sayAll(to: readonly TestPeer[], text: string): void;
}

export class SealedWorld {
  readonly clock = new VirtualClock();
  readonly random = new SeededRandom(7);
  readonly network = new MemoryNetwork(this.clock, this.random);
  /** Every datagram sent. */
  readonly recorded: Recorded[] = [];
  #hosts = 0;

  /** `ring` undefined: a plain peer. `at`: the address of a former life. */
  peer(ring: Keyring | undefined, at: HostPort = this.#nextHost()): TestPeer {
    const { clock, random } = this;
    const raw = this.network.datagrams(at);
    const datagrams = {
      ...raw,
      send: (to: HostPort, bytes: Uint8Array): void => {
        this.recorded.push({ from: at, to, bytes: Uint8Array.from(bytes) });
        raw.send(to, bytes);
      },
    };
    const log = new QuietLog();
    const seal = ring === undefined ? undefined : new Seal({ clock, random }, ring);
    const strangers = new Strangers(clock, log);
    const channels = new PacketChannels({ datagrams, log, clock, random, strangers, seal });
    const tables = channels.channel("tables");
    const got: string[] = [];
    tables.onPacket((_from, bytes) => got.push(Buffer.from(bytes).toString()));
    const streams = sealedStreams({ streams: this.network.streams(at), clock, random, seal });
    const say = (to: TestPeer, text: string): void => tables.send(to.at, Buffer.from(text));
    const sayAll = (to: readonly TestPeer[], text: string): void =>
      tables.sendAll(
        to.map((peer) => peer.at),
        Buffer.from(text),
      );
    return { at, seal, strangers, log, streams, got, say, sayAll };
  }

  sealed(...bytes: number[]): TestPeer {
    const [first = 1, ...rest] = bytes;
    return this.peer(rest.reduce((ring, byte) => ring.add(key(byte)), Keyring.of(key(first))));
  }

  /** Puts recorded or made-up bytes on the network. */
  inject(from: HostPort, to: HostPort, bytes: Uint8Array): void {
    this.network.datagrams(from).send(to, bytes);
  }

  #nextHost(): HostPort {
    this.#hosts += 1;
    return { host: `10.0.0.${this.#hosts}`, port: 6783 };
  }
}
