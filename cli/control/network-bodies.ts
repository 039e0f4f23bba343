/**
 * The bodies of the calls about networks, read strictly: a misspelt field is refused by name.
 */
import { LIMITS, TsweaveError } from "../../mesh/index.ts";
import { isNetworkName } from "../../overlay/index.ts";
import { isRecord } from "./error-body.ts";
import type { NetworkWish, RemoveNetwork } from "./network-api.ts";

const WORD_LENGTH_MAX = 64;
const FIELDS = ["name", "subnet", "internal", "mtu", "gateway", "ipRange"];

/** @throws TsweaveError BAD_REQUEST */
export function networkOf(body: unknown): NetworkWish {
  const fields = known(body, FIELDS);
  const { internal = false, mtu } = fields;
  if (typeof internal !== "boolean") {
    throw new TsweaveError("BAD_REQUEST", "internal is true or false");
  }
  if (mtu !== undefined && (typeof mtu !== "number" || !Number.isInteger(mtu) || mtu < 1)) {
    throw new TsweaveError("BAD_REQUEST", "mtu is a number of bytes");
  }
  return {
    name: nameOf(fields.name),
    internal,
    mtu,
    subnet: wordOf(fields, "subnet"),
    gateway: wordOf(fields, "gateway"),
    ipRange: wordOf(fields, "ipRange"),
  };
}

/** @throws TsweaveError BAD_REQUEST */
export function networkRemovalOf(body: unknown): RemoveNetwork {
  const fields = known(body, ["name", "subnet"]);
  return { name: nameOf(fields.name), subnet: wordOf(fields, "subnet") };
}

function known(body: unknown, names: readonly string[]): Readonly<Record<string, unknown>> {
  const fields = isRecord(body) ? body : {};
  const odd = Object.keys(fields).find((name) => !names.includes(name));
  if (odd === undefined) return fields;
  throw new TsweaveError("BAD_REQUEST", `a network has no field '${odd.slice(0, 40)}'`, {
    hint: `it has ${names.join(", ")}`,
  });
}

/** As Docker allows it, and no longer than a row's key. */
function nameOf(name: unknown): string {
  if (typeof name === "string" && isNetworkName(name)) return name;
  throw new TsweaveError("BAD_REQUEST", "a network's name has letters, digits, _ . and -", {
    hint: `it begins with a letter or digit, and has at most ${LIMITS.rowKeyLengthMax}`,
  });
}

function wordOf(fields: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const word = fields[name];
  if (word === undefined) return undefined;
  if (typeof word === "string" && word !== "" && word.length <= WORD_LENGTH_MAX) return word;
  throw new TsweaveError("BAD_REQUEST", `${name} is a word of at most ${WORD_LENGTH_MAX} letters`);
}
