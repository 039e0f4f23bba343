/**
 * Well-formed but wrong: msgpack values and JSON in which a field is another one, missing, doubled,
 * huge or of another type, so that what reads the fields is reached and not only what reads bytes.
 */
import type { WireValue } from "../../mesh/index.ts";
import type { SeededRandom } from "../lib/seeded-random.ts";
import { pick } from "./mutate.ts";

const TEXTS = ["", "x", "0", "-1", "__proto__", "\u0000", "\u001b[2J", "🐙", "10.0.0.1/8", "::1"];
const NUMBERS = [0, 1, -1, 0.5, 2 ** 31, 2 ** 32, 2 ** 47, 2 ** 53 - 1, 2 ** 53, -(2 ** 53), 1e300];
const SIZES = [0, 1, 4, 8, 15, 16, 17, 32, 128, 1500];

function oddWire(random: SeededRandom): WireValue {
  switch (random.below(8)) {
    case 0:
      return pick(random, [null, true, false]);
    case 1:
    case 2:
      return pick(random, NUMBERS);
    case 3:
      return pick(random, TEXTS);
    case 4:
      return "x".repeat(pick(random, SIZES));
    case 5:
    case 6:
      return Buffer.alloc(pick(random, SIZES), random.below(256));
    default:
      return Array.from({ length: pick(random, [0, 1, 3, 33, 300]) }, (_, at) => at);
  }
}

/** `value` with one place in it changed; `donor` lends parts. */
export function mutatedWire(random: SeededRandom, value: WireValue, donor: WireValue): WireValue {
  if (!Array.isArray(value) || value.length === 0 || random.chance(0.1)) {
    return random.chance(0.3) ? part(random, donor) : oddWire(random);
  }
  const items = [...(value as readonly WireValue[])];
  const at = random.below(items.length);
  switch (random.below(6)) {
    case 0:
      items.splice(at, 1);
      return items;
    case 1:
      items.splice(at, 0, oddWire(random));
      return items;
    case 2:
      return [...items, ...items.slice(0, 1 + random.below(40))];
    default:
      items[at] = mutatedWire(random, items[at] ?? null, donor);
      return items;
  }
}

function part(random: SeededRandom, value: WireValue): WireValue {
  if (!Array.isArray(value) || value.length === 0 || random.chance(0.3)) return value;
  return part(random, pick(random, value as readonly WireValue[]));
}

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

function oddJson(random: SeededRandom): Json {
  const many = Array.from({ length: pick(random, [0, 1, 5000]) }, () => "x");
  return pick<Json>(random, [
    ...[null, true, false, {}, [], many, [[]], { length: 3 }, "x".repeat(5000), "x".repeat(64)],
    ...[pick(random, NUMBERS), pick(random, TEXTS), pick(random, TEXTS)],
  ]);
}

/** `value` with one field in it changed. */
export function mutatedJson(random: SeededRandom, value: Json): Json {
  if (typeof value !== "object" || value === null || random.chance(0.1)) return oddJson(random);
  if (Array.isArray(value)) {
    const items = [...value];
    if (random.chance(0.3)) items.push(oddJson(random));
    else if (items.length > 0) {
      const at = random.below(items.length);
      items[at] = mutatedJson(random, items[at] ?? null);
    }
    return items;
  }
  const fields = Object.entries(value);
  const at = random.below(fields.length + 1);
  const [name, old] = fields[at] ?? [pick(random, TEXTS), null];
  if (random.chance(0.2)) fields.splice(at, 1);
  else fields[at] = [name, mutatedJson(random, old)];
  return Object.fromEntries(fields);
}
