/**
 * Whole nodes under garbage: at the datagram socket, as questions over streams, from known places
 * and from floods of unknown peers. Afterwards the node must still be a peer among honest ones.
 */
import assert from "node:assert/strict";
import { decodeWire, encodeWire, type HostPort, LIMITS } from "../../../mesh/index.ts";
import { decodeShort, isShort } from "../../../mesh/membership/native/short.ts";
import { decodePacketOf, encodeMessage, encodePackets } from "../../../mesh/membership/packet.ts";
import type { PeerRecord } from "../../../mesh/membership/record.ts";
import { encodeTablesMessage, readTablesMessage } from "../../../mesh/tables/push.ts";
import { ENVELOPE_BYTES, envelope, KINDS, kindOf } from "../../../mesh/wire/envelope.ts";
import type { SeededRandom } from "../../lib/seeded-random.ts";
import { mutated, pick } from "../mutate.ts";
import { mutatedWire } from "../mutate-tree.ts";
import { assertBounds, type Heard, holdsRowOf, type Kind, NodeWorld, sees } from "../node-world.ts";
import { reading } from "../refusal.ts";
import { framedCases, golden, wireCases, wireValues } from "../samples.ts";
import type { Subject, Target } from "../target.ts";

/** Virtual time between two packets, so that timers run among them. */
const GAP_MS = 2;
/** For a mesh that was told of many peers that never were. */
const HEAL_MS = 600_000;
const STREAM = 1;

/** What a node hears while it meets two others, on both roads. */
async function record(kind: Kind): Promise<readonly Heard[]> {
  const world = new NodeWorld(kind);
  const victim = await world.open(1);
  const [second, third] = [await world.open(2, victim), await world.open(3, victim)];
  await world.until("a mesh of three", 60_000, () => sees(victim, second) && sees(third, second));
  await world.clock.run(3000);
  await world.end();
  return victim.heard;
}

/** Somebody who was never heard of introduces itself, or has rows. */
function unknownPeer(random: SeededRandom): Buffer {
  const id = Buffer.from(random.bytes(16)).toString("hex");
  const incarnation = 1 + random.below(2 ** 31);
  if (random.chance(0.5)) {
    const rows = [{ table: "names", key: "x", seq: 1, bytes: encodeWire(["t", "10.32.9.9", []]) }];
    const delta = { origin: id, incarnation, from: 0, to: 1, whole: false, rows };
    const push = encodeTablesMessage({ type: "push", sender: id, delta });
    return Buffer.concat([envelope(KINDS.tables), push]);
  }
  const advertise = { host: `10.66.${random.below(256)}.${1 + random.below(250)}`, port: 6783 };
  const record: PeerRecord = {
    meta: { id, incarnation, name: "nobody", advertise },
    ...{ era: 0, boot: random.u32(), state: "alive", refutation: 0 },
  };
  const header = { sender: id, era: 0, incarnation, boot: record.boot, target: null };
  const hello = { type: "hello", record, digest: Buffer.alloc(8, 1), want: true } as const;
  const [packet = Buffer.alloc(0)] = encodePackets(header, [encodeMessage(hello)], [], "native");
  return Buffer.concat([envelope(KINDS.membership), packet]);
}

/** Road, two bytes for the place, then the packet. */
function cases(heard: readonly Heard[], sealed: boolean): Target["make"] {
  const datagrams = heard.filter(({ road }) => road === "datagram").map(({ bytes }) => bytes);
  const questions = heard.filter(({ road }) => road === "stream").map(({ bytes }) => bytes);
  const plain = [...golden("seal"), ...datagrams];
  const packets = framedCases(golden("membership"));
  const enveloped = (kind: number, body: Uint8Array) => Buffer.concat([envelope(kind), body]);
  const question = (random: SeededRandom): Uint8Array => {
    if (sealed || random.chance(0.3)) return mutated(random, questions, 200_000);
    const [one, other] = [decodeWire(pick(random, questions)), decodeWire(pick(random, questions))];
    return encodeWire(mutatedWire(random, one, other));
  };
  const rows = datagrams.filter((bytes) => kindOf(bytes) === KINDS.tables);
  const bodies = rows.map((bytes) => bytes.subarray(ENVELOPE_BYTES));
  const tables = wireCases(wireValues(sealed || bodies.length === 0 ? golden("tables") : bodies));
  return (random) => {
    const place = random.bytes(2);
    if (random.chance(0.15)) return Buffer.concat([Buffer.of(STREAM), place, question(random)]);
    const dice = random.below(100);
    const body =
      dice < 2
        ? unknownPeer(random)
        : dice < 20
          ? enveloped(KINDS.membership, packets(random))
          : dice < 35
            ? enveloped(KINDS.tables, tables(random))
            : mutated(random, plain);
    return Buffer.concat([Buffer.of(0), place, body]);
  };
}

/** Whether no peer could make sense of a datagram, so that it must show in a count. */
function isGarbage(packet: Uint8Array): boolean {
  const kind = kindOf(packet);
  const payload = packet.subarray(ENVELOPE_BYTES);
  const fails = (read: () => void) => reading(read, ["BAD_MESSAGE"]) !== undefined;
  if (kind === KINDS.notice) return false;
  if (kind === KINDS.tables) {
    return fails(() => void readTablesMessage(decodeWire(payload)));
  }
  if (kind !== KINDS.membership) return true;
  if (isShort(payload) && !fails(() => void decodeShort(payload))) return false;
  return (
    fails(() => decodePacketOf("native", payload)) && fails(() => decodePacketOf("swim", payload))
  );
}

async function subject(kind: Kind): Promise<Subject> {
  const world = new NodeWorld(kind);
  const victim = await world.open(1);
  const friend = await world.open(2, victim);
  await world.until("two meet", 60_000, () => sees(victim, friend) && sees(friend, victim));
  const { packets, strangers } = victim.node;
  /** What was not understood; in an encrypted mesh also what opened, which replays do. */
  const refusals = (): number =>
    packets.dropped.count +
    strangers.count +
    Object.values(victim.seal?.counts ?? {}).reduce((sum, count) => sum + count, 0) +
    victim.log.count("refused a membership packet") +
    victim.log.count("refused a tables message");
  let failure: unknown;
  let nth = 0;
  return {
    run: async (bytes) => {
      const [road, place = 0, more = 0] = bytes;
      const port = 1 + place * 256 + more;
      const from: HostPort = place < 128 ? friend.meta.advertise : { host: "10.9.9.9", port };
      const before = refusals();
      if (road === STREAM) {
        victim.serve(from, bytes.subarray(3)).then(
          (answer) => {
            if (answer.length > LIMITS.streamFrameBytesMax) failure ??= "an answer without bound";
          },
          (error: unknown) => {
            failure ??= error;
          },
        );
      } else {
        victim.receive(from, bytes.subarray(3));
        if (isGarbage(bytes.subarray(3))) assert.ok(refusals() > before, "nobody counted it");
      }
      nth += 1;
      if (nth % 8 === 0) await world.clock.run(8 * GAP_MS);
      if (nth % 1024 === 0) assertBounds(victim);
      if (failure !== undefined) throw failure;
      assert.equal(victim.log.failure, undefined);
      return refusals() > before ? "refused" : undefined;
    },
    check: async () => {
      await world.clock.run(10_000);
      assertBounds(victim);
      const newcomer = await world.open(9, victim);
      const isWhole = (): boolean =>
        sees(victim, newcomer) &&
        sees(newcomer, victim) &&
        sees(victim, friend) &&
        sees(friend, victim) &&
        holdsRowOf(victim, newcomer) &&
        holdsRowOf(newcomer, victim) &&
        holdsRowOf(friend, newcomer);
      await world.until("an honest mesh again", HEAL_MS, isWhole);
      if (failure !== undefined) throw failure;
      assertBounds(victim);
      await world.end();
    },
  };
}

async function target(name: string, kind: Kind, weight: number): Promise<Target> {
  const make = cases(await record(kind), kind.sealed);
  return { name, weight, make, open: () => subject(kind) };
}

export const nodeTargets: readonly Target[] = [
  await target("node-plain", { engine: "native", sealed: false }, 4),
  await target("node-sealed", { engine: "native", sealed: true }, 2),
  await target("node-swim", { engine: "swim", sealed: false }, 2),
];
