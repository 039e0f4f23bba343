/** Decoders of what peers send one another: what they take they must be able to say again. */
import assert from "node:assert/strict";
import { decodeWire, encodeWire, type WireValue } from "../../../mesh/index.ts";
import { FrameReader, framed } from "../../../mesh/io/frame.ts";
import {
  decodeShort,
  encodeShort,
  SHORT_DIGEST_BYTES,
} from "../../../mesh/membership/native/short.ts";
import { decodePacketOf, encodeMessage, encodePackets } from "../../../mesh/membership/packet.ts";
import { encodeTablesMessage, readTablesMessage } from "../../../mesh/tables/push.ts";
import { mutated } from "../mutate.ts";
import { reading } from "../refusal.ts";
import { framedCases, golden, wireCases, wireValues } from "../samples.ts";
import type { Target } from "../target.ts";

/** A target of a pure reader that refuses with BAD_MESSAGE only. */
export function pure(
  name: string,
  make: Target["make"],
  read: (bytes: Uint8Array) => void,
  weight = 1,
): Target {
  const run = (bytes: Uint8Array) => reading(() => read(bytes), ["BAD_MESSAGE"]);
  return { name, weight, make, open: () => ({ run }) };
}

const values: WireValue[] = [
  ...wireValues([...golden("tables"), ...golden("rpc")]),
  [null, true, -1, 1.5, 2 ** 40, "text", Buffer.alloc(20), [[[["deep"]]]]],
];

function packetTarget(engine: "swim" | "native", packets: readonly Uint8Array[]): Target {
  return pure(`membership-${engine}`, framedCases(packets), (bytes) => {
    const { header, messages } = decodePacketOf(engine, bytes);
    const again = encodePackets(header, messages.map(encodeMessage), [], engine);
    const read = again.map((packet) => decodePacketOf(engine, packet));
    assert.deepEqual(
      read.flatMap((packet) => packet.messages),
      messages,
    );
    assert.deepEqual(read[0]?.header, header);
  });
}

/** The golden packets are of the engine swim, whose number is the header's first field. */
const swimPackets = golden("membership");
const nativePackets = swimPackets.map((packet) => {
  const bytes = Buffer.from(packet);
  bytes[3] = 2;
  return bytes;
});

const SHORTS = (["ping", "ack", "nack", "pingReq"] as const).flatMap((kind) => {
  const base = { kind, seq: 70, pair: 0x1234_5678_9abc, digest: Buffer.alloc(SHORT_DIGEST_BYTES) };
  const short = kind === "pingReq" ? { ...base, destination: 77, patienceMs: 300 } : base;
  const update = decodePacketOf("swim", swimPackets[4] ?? Buffer.alloc(0)).messages;
  return [encodeShort(short, []), encodeShort(short, update.map(encodeMessage))];
});

export const wireTargets: readonly Target[] = [
  pure(
    "msgpack",
    wireCases(values),
    (bytes) => {
      const value = decodeWire(bytes);
      assert.deepEqual(decodeWire(encodeWire(value)), value);
    },
    3,
  ),
  packetTarget("swim", swimPackets),
  packetTarget("native", nativePackets),
  pure(
    "membership-short",
    (random) => mutated(random, SHORTS),
    (bytes) => {
      const { short, messages } = decodeShort(bytes);
      const again = decodeShort(encodeShort(short, messages.map(encodeMessage)));
      assert.deepEqual(again, { short, messages });
    },
  ),
  pure("tables", wireCases(wireValues(golden("tables"))), (bytes) => {
    const message = readTablesMessage(decodeWire(bytes));
    const again = readTablesMessage(decodeWire(encodeTablesMessage(message)));
    assert.deepEqual(again, message);
  }),
  pure(
    "stream-frame",
    (random) => mutated(random, golden("rpc").map(framed)),
    (bytes) => {
      const cut = bytes.length >> 1;
      const reader = new FrameReader();
      const early = reader.push(Buffer.from(bytes.subarray(0, cut)));
      if (early === undefined) reader.push(Buffer.from(bytes.subarray(cut)));
    },
  ),
];
