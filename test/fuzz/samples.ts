/** The golden vectors and other real messages, as the stuff of which cases are made. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decodeWire, encodeWire, type WireValue } from "../../mesh/index.ts";
import type { SeededRandom } from "../lib/seeded-random.ts";
import { ROOT } from "../lib/sources.ts";
import { mutated, pick } from "./mutate.ts";
import { type Json, mutatedJson, mutatedWire } from "./mutate-tree.ts";

/** The stored bytes of every message of one kind. */
export function golden(name: string): Uint8Array[] {
  const text = readFileSync(join(ROOT, "test/golden", `${name}.json`), "utf8");
  const vectors = Object.values(JSON.parse(text) as Record<string, string>);
  return vectors.map((hex) => Buffer.from(hex, "hex"));
}

/** Cases from msgpack values: their bytes damaged, or a field of theirs. */
export function wireCases(given: readonly WireValue[]): (random: SeededRandom) => Uint8Array {
  const samples = given.map((value) => encodeWire(value));
  const values = samples.map((bytes) => decodeWire(bytes));
  return (random) => {
    if (random.chance(0.5)) return mutated(random, samples);
    let value = pick(random, values);
    for (let rounds = 1 + random.below(3); rounds > 0; rounds -= 1) {
      value = mutatedWire(random, value, pick(random, values));
    }
    return encodeWire(value);
  };
}

/** The values of messages that are msgpack and nothing else. */
export const wireValues = (samples: readonly Uint8Array[]): WireValue[] => samples.map(decodeWire);

/** Cases from packets of length-prefixed msgpack frames. */
export function framedCases(packets: readonly Uint8Array[]): (random: SeededRandom) => Uint8Array {
  const lists = packets.map(framesIn);
  const all = lists.flat();
  return (random) => {
    if (random.chance(0.5)) return mutated(random, packets);
    const frames = [...pick(random, lists)];
    if (random.chance(0.3)) frames.push(pick(random, all));
    const at = random.below(frames.length);
    frames[at] = mutatedWire(random, frames[at] ?? null, pick(random, all));
    return joined(frames.map((frame) => encodeWire(frame)));
  };
}

function framesIn(packet: Uint8Array): WireValue[] {
  const bytes = Buffer.from(packet);
  const frames: WireValue[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 2 + bytes.readUInt16BE(at);
    frames.push(decodeWire(bytes.subarray(at + 2, end)));
    at = end;
  }
  return frames;
}

function joined(frames: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    frames.flatMap((frame) => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(frame.length & 0xffff);
      return [length, frame];
    }),
  );
}

/** Cases from JSON texts: damaged, or with another field. */
export function jsonCases(values: readonly Json[]): (random: SeededRandom) => Uint8Array {
  const samples = values.map((value) => Buffer.from(JSON.stringify(value)));
  return (random) => {
    if (random.chance(0.2)) return mutated(random, samples);
    let value = pick(random, values);
    for (let rounds = random.below(4); rounds > 0; rounds -= 1) value = mutatedJson(random, value);
    return Buffer.from(JSON.stringify(value));
  };
}
