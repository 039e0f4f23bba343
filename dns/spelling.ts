/** The names of one record as DNS carries them. */
import { foldCase, type Labels, labelsOf } from "./name.ts";
import { EVERY_NETWORK, type NameRecord } from "./record.ts";

export interface Spelling {
  /** Folded, each once; those that DNS cannot carry are left out. */
  readonly names: readonly string[];
  /** What the address is called: the first name, with its network; undefined without a name. */
  readonly pointer: Labels | undefined;
  /** A name of this record alone, if it has one; empty where DNS cannot carry it. */
  readonly target: Labels;
}

const SHORT_ID = /^[0-9a-f]{12}$/;

/** `suffix`: the domain behind a dot. */
export function spellingOf({ names: written, network }: NameRecord, suffix: string): Spelling {
  const folded = written.map(foldCase).filter((name) => labelsOf(name) !== undefined);
  const names = [...new Set(folded)];
  const [primary] = names;
  const own = names.find((name) => SHORT_ID.test(name)) ?? primary;
  return {
    names,
    pointer: primary === undefined ? undefined : qualified(primary, network, suffix),
    target: (own === undefined ? undefined : qualified(own, network, suffix)) ?? [],
  };
}

/** A name that every asker understands: a dotted one of an outside service is so already. */
function qualified(name: string, network: string, suffix: string): Labels | undefined {
  if (network !== EVERY_NETWORK) return labelsOf(`${name}.${network}`);
  return labelsOf(name.includes(".") ? name : `${name}${suffix}`);
}
