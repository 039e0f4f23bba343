/**
 * A pool's identity as the engine stores it: the subnet and range themselves, so that an id given
 * out by an earlier life of the daemon, or before its state was lost, still means the same.
 */
import { type Cidr, containsCidr, parseCidr } from "../../ipalloc/index.ts";
import { TsweaveError } from "../../mesh/index.ts";

export interface Pool {
  readonly subnet: Cidr;
  /** `--ip-range`, inside the subnet. */
  readonly range: Cidr | undefined;
}

const PREFIX = "tsweave:";

/** `tsweave:10.32.0.0/12` or `tsweave:10.32.0.0/12:10.40.0.0/16`. */
export function poolId(pool: Pool): string {
  return (
    PREFIX + [pool.subnet.text, ...(pool.range === undefined ? [] : [pool.range.text])].join(":")
  );
}

/** The pool an id names. @throws TsweaveError BAD_REQUEST. */
export function parsePoolId(id: string): Pool {
  const [subnet = "", range, ...more] = id.startsWith(PREFIX)
    ? id.slice(PREFIX.length).split(":")
    : [];
  if (subnet === "" || more.length > 0) {
    throw new TsweaveError("BAD_REQUEST", `'${id.slice(0, 80)}' is not a pool of tsweave`);
  }
  return readPool(subnet, range ?? "");
}

/** An IPv4 subnet with an optional range inside it. @throws TsweaveError CONFIG. */
export function readPool(subnetText: string, rangeText: string): Pool {
  const subnet = parseCidr(subnetText);
  if (subnet.bits !== 32) {
    throw new TsweaveError("CONFIG", `${subnet.text} is not an IPv4 subnet`, {
      hint: "tsweave networks carry IPv4; leave out --ipv6 and IPv6 subnets",
    });
  }
  if (rangeText === "") return { subnet, range: undefined };
  const range = parseCidr(rangeText);
  if (!containsCidr(subnet, range)) {
    throw new TsweaveError("CONFIG", `--ip-range ${range.text} is not inside ${subnet.text}`);
  }
  return { subnet, range };
}
