/**
 * A peer of an encrypted mesh among strangers: nothing is delivered that its friend did not say,
 * nothing twice, and every packet is counted.
 */
import assert from "node:assert/strict";
import {
  type HostPort,
  Keyring,
  keyFromSecret,
  LIMITS,
  Seal,
  type Streams,
} from "../../../mesh/index.ts";
import { KINDS, kindOf } from "../../../mesh/wire/envelope.ts";
import { PacketChannels } from "../../../mesh/wire/packet.ts";
import { noticeFor, Strangers } from "../../../mesh/wire/seal-strangers.ts";
import { sealedStreams } from "../../../mesh/wire/seal-streams.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";
import { mutated } from "../mutate.ts";
import { golden } from "../samples.ts";
import type { Subject, Target } from "../target.ts";
import { WatchfulLog } from "../watchful-log.ts";

type Receive = (from: HostPort, packet: Uint8Array) => void;
type Serve = (from: HostPort, frame: Uint8Array) => Promise<Uint8Array>;

const WORDS = 40;
const PLACES_MAX = 3000;

/** Two or more peers whose packets arrive at once, and every byte that they said. */
class Wires {
  readonly clock = new VirtualClock();
  readonly said: Uint8Array[] = [];
  readonly #receivers = new Map<string, Receive>();
  readonly #servers = new Map<string, Serve>();

  peer(host: string, keyByte: number) {
    const local = { host, port: 6783 };
    const random = new SeededRandom(keyByte * 1000 + host.length + Number(host.at(-1)));
    const log = new WatchfulLog();
    const seal = new Seal({ clock: this.clock, random }, Keyring.of(key(keyByte)));
    const strangers = new Strangers(this.clock, log);
    const datagrams = {
      local,
      send: (to: HostPort, packet: Uint8Array): void => {
        this.said.push(Uint8Array.from(packet));
        this.#receivers.get(to.host)?.(local, Uint8Array.from(packet));
      },
      onPacket: (receive: Receive) => {
        this.#receivers.set(host, receive);
        return () => undefined;
      },
      close: async () => undefined,
    };
    const ports = { datagrams, log, clock: this.clock, random, strangers, seal };
    const channels = new PacketChannels(ports);
    const streams = sealedStreams({ ...ports, streams: this.#streams(host) });
    const got: string[] = [];
    const tables = channels.channel("tables");
    tables.onPacket((_from, bytes) => got.push(Buffer.from(bytes).toString()));
    return { local, seal, strangers, channels, tables, streams, got };
  }

  receive(host: string, from: HostPort, packet: Uint8Array): void {
    this.#receivers.get(host)?.(from, packet);
  }

  async serve(host: string, from: HostPort, frame: Uint8Array): Promise<Uint8Array> {
    return (await this.#servers.get(host)?.(from, frame)) ?? new Uint8Array();
  }

  #streams(host: string): Streams {
    return {
      request: async (to, frame) => {
        this.said.push(Uint8Array.from(frame));
        return await this.serve(to.host, { host, port: 40_000 }, frame);
      },
      probe: async () => "open",
      onRequest: (serve) => {
        this.#servers.set(host, serve);
        return () => undefined;
      },
      close: async () => undefined,
    };
  }
}

const key = (byte: number) => keyFromSecret(Buffer.alloc(32, byte));
const FRIEND = "10.0.0.2";

/** The victim with its friend, after some talk. The same seeds make the same bytes each time. */
async function talk() {
  const wires = new Wires();
  const victim = wires.peer("10.0.0.1", 1);
  const friend = wires.peer(FRIEND, 1);
  const served: string[] = [];
  victim.streams.onRequest(async (_from, frame) => {
    served.push(Buffer.from(frame).toString());
    return frame;
  });
  for (let nth = 0; nth < WORDS; nth += 1) {
    friend.tables.send(victim.local, Buffer.from(`word ${nth}`));
    if (nth % 4 === 0) await friend.streams.request(victim.local, Buffer.from(`ask ${nth}`), 100);
  }
  return { wires, victim, friend, served };
}

async function samples(): Promise<Uint8Array[]> {
  const { wires, victim } = await talk();
  const stranger = wires.peer("10.0.0.3", 2);
  stranger.tables.send(victim.local, Buffer.from("other key"));
  const [first = Buffer.alloc(60)] = wires.said;
  const notices = (["other-key", "sealed", "plain"] as const).flatMap(
    (why) => noticeFor(first, why) ?? [],
  );
  return [...wires.said, ...notices, ...golden("seal")];
}

const SAMPLES = await samples();

/** First byte: where it seems to come from; the rest is the packet. */
const make: Target["make"] = (random) =>
  Buffer.concat([random.bytes(2), mutated(random, SAMPLES, 2000)]);

async function datagrams(): Promise<Subject> {
  const { wires, victim, friend } = await talk();
  const before = victim.got.length;
  const { counts } = victim.seal;
  const counted = (): number => counts.opened + counts.refused + victim.channels.dropped.count;
  return {
    run: (bytes) => {
      const [place = 0, more = 0] = bytes;
      const port = 1 + ((place * 256 + more) % PLACES_MAX);
      const from = place < 128 ? friend.local : { host: "10.9.9.9", port };
      const packet = bytes.subarray(2);
      const count = counted();
      wires.receive(victim.local.host, from, packet);
      wires.clock.advance(1);
      const isNotice = kindOf(packet) === KINDS.notice;
      // A challenge that was answered is one more that the victim itself opened.
      if (!isNotice) assert.ok(counted() > count, "a packet that nobody counted");
      assert.equal(victim.got.length, before, `delivered ${victim.got.at(-1)}`);
      return isNotice ? "a notice" : "not new or not ours";
    },
    check: async () => {
      assert.ok(victim.seal.senders.size <= LIMITS.sealSendersMax);
      assert.ok(victim.strangers.list().length <= LIMITS.strangersMax);
      friend.tables.send(victim.local, Buffer.from("still there"));
      assert.equal(victim.got.at(-1), "still there");
    },
  };
}

async function streams(): Promise<Subject> {
  const { wires, victim, friend, served } = await talk();
  const before = served.length;
  return {
    run: async (bytes) => {
      const from = { host: FRIEND, port: 40_001 };
      const answer = await wires.serve(victim.local.host, from, bytes.subarray(2));
      assert.equal(served.length, before, `served ${served.at(-1)}`);
      assert.ok(answer.length <= 64, "a refusal longer than a notice or a token");
      return "refused";
    },
    check: async () => {
      const answer = await friend.streams.request(victim.local, Buffer.from("still there"), 100);
      assert.equal(Buffer.from(answer).toString(), "still there");
    },
  };
}

export const sealTargets: readonly Target[] = [
  { name: "seal-datagrams", weight: 2, make, open: datagrams },
  { name: "seal-streams", weight: 1, make, open: streams },
];
