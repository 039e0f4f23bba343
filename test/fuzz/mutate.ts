/**
 * Bytes that somebody might send: real ones with bits flipped, cut, lengthened, spliced, with
 * lengths that lie and nesting without end. Law: the same random numbers make the same bytes.
 */
import type { SeededRandom } from "../lib/seeded-random.ts";

type Mutation = (random: SeededRandom, bytes: Buffer, donor: Buffer) => Buffer;

/** Depth that no recursive reader survives. */
const DEEP = 60_000;
const NUMBERS = [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
/** First bytes of msgpack values with a length behind them, some of it forbidden. */
const SIZED = [0xc4, 0xc5, 0xc6, 0xc7, 0xc9, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf];
/** Values that a reader may not expect: NaN, infinity, the largest integers, a map, nothing. */
const ODD = [
  "cb7ff8000000000001,cb7ff0000000000000,ca7fc00000,cfffffffffffffffff,d38000000000000000",
  "cf0020000000000000,81a1780a,df00000000,d4010a,c70100,c1,c0,90,a0,c400,dcffff,ddffffffff",
]
  .join(",")
  .split(",")
  .map((text) => Buffer.from(text, "hex"));

export function pick<T>(random: SeededRandom, items: readonly T[]): T {
  const item = items[random.below(items.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}

const place = (random: SeededRandom, bytes: Buffer): number => random.below(bytes.length + 1);

function replaced(bytes: Buffer, start: number, end: number, by: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, start), by, bytes.subarray(end)]);
}

const MUTATIONS: readonly Mutation[] = [
  (random, bytes) => {
    for (let flips = 1 + random.below(4); flips > 0 && bytes.length > 0; flips -= 1) {
      const at = random.below(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    }
    return bytes;
  },
  (random, bytes) => {
    for (let sets = 1 + random.below(4); sets > 0 && bytes.length > 0; sets -= 1) {
      bytes[random.below(bytes.length)] = random.below(256);
    }
    return bytes;
  },
  (random, bytes) => bytes.subarray(0, place(random, bytes)),
  (random, bytes) => bytes.subarray(place(random, bytes)),
  (random, bytes) => Buffer.concat([bytes, random.bytes(1 + random.below(40))]),
  (random, bytes, donor) => {
    const start = place(random, donor);
    return Buffer.concat([bytes.subarray(0, place(random, bytes)), donor.subarray(start)]);
  },
  (random, bytes, donor) => {
    const [from, at] = [place(random, donor), place(random, bytes)];
    return replaced(bytes, at, at, donor.subarray(from, from + 1 + random.below(40)));
  },
  (random, bytes) => {
    const at = place(random, bytes);
    return replaced(bytes, at, Math.min(bytes.length, at + 1 + random.below(16)), Buffer.alloc(0));
  },
  (random, bytes) => {
    const at = place(random, bytes);
    return replaced(bytes, at, at, bytes.subarray(at, at + 1 + random.below(64)));
  },
  (random, bytes) => {
    const [at, width] = [place(random, bytes), pick(random, [1, 2, 4])];
    const number = Buffer.alloc(4);
    number.writeUInt32BE(pick(random, NUMBERS));
    return replaced(bytes, at, at + width, number.subarray(4 - width));
  },
  (random, bytes) => {
    const at = place(random, bytes);
    const lie = Buffer.concat([Buffer.of(pick(random, SIZED)), random.bytes(4)]);
    return replaced(bytes, at, at + random.below(3), lie);
  },
  (random, bytes) => {
    const at = place(random, bytes);
    return replaced(bytes, at, at + random.below(3), pick(random, ODD));
  },
];

/** Arrays or JSON within one another, each as short as it can be, or with a size that lies. */
export function nested(random: SeededRandom, bytesMax: number): Buffer {
  const opener = pick(random, ["91", "dc0001", "dd00000001", "81", "5b", "7b2261223a"]);
  const unit = Buffer.from(opener, "hex");
  const deep = Buffer.alloc(Math.min(bytesMax, DEEP * unit.length), unit);
  if (!random.chance(0.3)) return deep;
  const liars = Buffer.alloc(Math.min(bytesMax, 64 * 1024));
  for (let at = 0; at + 5 <= liars.length; at += 5) {
    liars[at] = 0xdd;
    liars.writeUInt32BE(Math.min(liars.length - at - 5, 0xffff), at + 1);
  }
  return liars;
}

/** One thing of at most `bytesMax` bytes that looks more or less like one of the samples. */
export function mutated(
  random: SeededRandom,
  samples: readonly Uint8Array[],
  bytesMax = 70_000,
): Buffer {
  if (random.chance(0.03)) return Buffer.from(random.bytes(random.below(200)));
  if (random.chance(0.0005)) return nested(random, bytesMax);
  let bytes: Buffer = Buffer.from(pick(random, samples));
  const donor = Buffer.from(pick(random, samples));
  // Some go through whole: what is valid must stay so, and replays are a case of their own.
  for (let rounds = random.below(4); rounds > 0; rounds -= 1) {
    bytes = Buffer.from(pick(random, MUTATIONS)(random, bytes, donor));
  }
  if (random.chance(0.001) && bytes.length > 0) {
    bytes = Buffer.concat([bytes, Buffer.alloc(bytesMax, bytes)]);
  }
  return bytes.subarray(0, bytesMax);
}
