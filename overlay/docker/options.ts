/**
 * What a user may say about a network with `-o` and flags.
 *
 * Law: an option that has no effect is refused by name, never ignored.
 */
import { TsweaveError } from "../../mesh/index.ts";
import { type Fields, flag, object, textFields } from "./fields.ts";

export interface NetworkOptions {
  readonly internal: boolean;
  /** The underlay's frame size as Docker's own overlay reads the option; 0 where not given. */
  readonly underlayMtuBytes: number;
}

/** As Docker's overlay driver reads it: the size of the underlay, headers come off. */
export const MTU_OPTION = "com.docker.network.driver.mtu";
const GENERIC = "com.docker.network.generic";
/** IPv4 asks hosts to carry 576 bytes (RFC 791); VXLAN over IPv6 takes 70 more. */
const UNDERLAY_BYTES_MIN = 646;

/** Reads CreateNetwork's `Options`. @throws TsweaveError CONFIG naming what is not understood. */
export function readNetworkOptions(options: Fields): NetworkOptions {
  if (flag(options, "com.docker.network.enable_ipv6")) {
    throw new TsweaveError("CONFIG", "tsweave networks carry IPv4 only", {
      hint: "create the network without --ipv6",
    });
  }
  if (!flag(options, "com.docker.network.enable_ipv4", true)) {
    throw new TsweaveError("CONFIG", "tsweave networks need IPv4", {
      hint: "create the network without --ipv4=false",
    });
  }
  const generic = textFields(object(options, GENERIC));
  for (const name of generic.keys()) {
    if (name === MTU_OPTION) continue;
    throw new TsweaveError("CONFIG", `unknown option '${name.slice(0, 80)}'`, {
      hint: `tsweave knows ${MTU_OPTION}`,
    });
  }
  return {
    internal: flag(options, "com.docker.network.internal"),
    underlayMtuBytes: readMtu(generic.get(MTU_OPTION) ?? ""),
  };
}

/** The option's value in bytes, 0 for none. @throws TsweaveError CONFIG. */
export function readMtu(text: string): number {
  if (text === "") return 0;
  const bytes = /^[1-9][0-9]{0,4}$/.test(text) ? Number(text) : 0;
  if (bytes >= UNDERLAY_BYTES_MIN && bytes <= 65_535) return bytes;
  throw new TsweaveError("CONFIG", `${MTU_OPTION}=${text.slice(0, 20)} is not an MTU`, {
    hint: `give the size of the underlay, ${UNDERLAY_BYTES_MIN} to 65535; VXLAN's headers come off`,
  });
}
