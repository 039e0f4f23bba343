/**
 * A subnet for a network whose maker named none.
 *
 * Law: the name decides as far as it can, so that two sides of a cut that make a network of one
 * name choose the same subnet for it, without asking one another.
 */
import { createHash } from "node:crypto";
import { type Cidr, overlaps, parseCidr } from "../../ipalloc/index.ts";
import { TsweaveError } from "../../mesh/index.ts";

/** 10.64.0.0/16 to 10.255.0.0/16: beside the default range 10.32.0.0/12. */
const FIRST = 64;
const COUNT = 192;

/** The first /16 from the name's own on that shares no address with those taken. */
export function freeSubnet(name: string, taken: readonly string[]): string {
  const used = taken.flatMap(readable);
  const start = createHash("sha256").update(name).digest().readUInt32BE(0) % COUNT;
  for (let offset = 0; offset < COUNT; offset++) {
    const subnet: Cidr = parseCidr(`10.${FIRST + ((start + offset) % COUNT)}.0.0/16`);
    if (!used.some((other) => other.bits === subnet.bits && overlaps(other, subnet))) {
      return subnet.text;
    }
  }
  throw new TsweaveError("NO_ADDRESS", "no /16 of 10.64.0.0 to 10.255.0.0 is free", {
    hint: "name one with --subnet",
  });
}

/** What an engine or a peer calls a subnet and is none takes nothing. */
function readable(text: string): Cidr[] {
  try {
    return [parseCidr(text)];
  } catch {
    return [];
  }
}
