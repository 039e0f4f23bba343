/**
 * How a mesh gets its founding record: what the operator may say with `--ipalloc-init`, and when
 * that contradicts what this host knows already.
 *
 * Law: a contradiction is refused with the choices, never settled in silence: each side of it may
 * be what other hosts rely on.
 */
import { LIMITS, TsweaveError } from "../mesh/index.ts";
import { seedFounding, seedStore } from "./seeds.ts";
import type { State } from "./state.ts";

export type InitMode =
  /** A majority of the declared peers agrees; of `count` peers where fewer are named. */
  | { readonly kind: "consensus"; readonly count?: number }
  /** All compute the same record from these names. */
  | { readonly kind: "seed"; readonly names: readonly string[] }
  /** Never founds: waits for a mesh and for space of it. */
  | { readonly kind: "observer" };

export const CONSENSUS: InitMode = { kind: "consensus" };

const FORMS = "consensus, consensus=N, seed=NAME,NAME,... or observer";
const PEER_NAME = /^[\x21-\x2b\x2d-\x7e]{1,63}$/;

/** The mode a text spells. @throws TsweaveError CONFIG. */
export function parseInitMode(text: string): InitMode {
  const [kind = "", ...rest] = text.split("=");
  const value = rest.length === 0 ? undefined : rest.join("=");
  if (kind === "consensus") return value === undefined ? CONSENSUS : consensusOf(value);
  if (kind === "seed") return { kind, names: namesOf(value ?? "") };
  if (kind === "observer" && value === undefined) return { kind };
  throw misspelt(`'${text.slice(0, 64)}' is not a way to found a mesh`, `use ${FORMS}`);
}

/** The text of a mode, as the operator writes it. */
export function initModeText(mode: InitMode): string {
  if (mode.kind === "seed") return `seed=${mode.names.join(",")}`;
  if (mode.kind === "observer" || mode.count === undefined) return mode.kind;
  return `consensus=${mode.count}`;
}

function consensusOf(value: string): InitMode {
  const count = /^[1-9][0-9]{0,3}$/.test(value) ? Number(value) : 0;
  if (count >= 1 && count <= LIMITS.declaredMax) return { kind: "consensus", count };
  const hint = `write how many peers found the mesh, this one included, 1 to ${LIMITS.declaredMax}`;
  throw misspelt(`consensus='${value.slice(0, 16)}' is not a number of peers`, hint);
}

function namesOf(value: string): readonly string[] {
  const names = value.split(",");
  const hint = "write the names of the founding peers, the same list on every host";
  const bad = names.find((name) => !PEER_NAME.test(name));
  if (bad !== undefined) throw misspelt(`seed='${bad.slice(0, 64)}' is not a peer name`, hint);
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice !== undefined) throw misspelt(`seed= names ${twice} twice`, hint);
  if (names.length <= LIMITS.declaredMax) return names;
  throw misspelt(`seed= names ${names.length} peers`, `name at most ${LIMITS.declaredMax}`);
}

/**
 * Refuses a count below the peers that were named: a majority of too few could found a second
 * mesh. `named` counts this peer. @throws TsweaveError CONFIG.
 */
export function checkInitCount(mode: InitMode, named: number): void {
  if (mode.kind !== "consensus" || mode.count === undefined || mode.count >= named) return;
  throw wrong(
    `consensus=${mode.count}, but ${named} peers are named, this one included`,
    `use consensus=${named} or more, leave the number out, or name fewer peers`,
  );
}

/** Refuses a mode that contradicts the stored state. @throws TsweaveError CONFIG. */
export function refuseConflict(mode: InitMode, state: State, name: string): void {
  const { founding, store } = state;
  const stored = founding?.seeds;
  if (mode.kind === "observer") {
    if (founding === undefined || !founding.founders.some((one) => one.store === store)) return;
    throw contradiction(`this host is a founder of mesh ${founding.meshId}, no observer`, stored);
  }
  if (mode.kind !== "seed") return;
  if (founding === undefined) {
    if (state.vote.accepted === undefined) return;
    throw wrong(
      "this host has voted on a founding, which other peers may have completed",
      "launch with --ipalloc-init consensus, or 'tsweave reset' to begin as a new peer",
    );
  }
  const wanted = seedFounding(mode.names);
  // It was founded so and has been adopted by another since.
  if (state.surrenders.has(wanted.meshId)) return;
  if (founding.meshId !== wanted.meshId) {
    const by = stored === undefined ? "by agreement" : `by seed=${stored.join(",")}`;
    throw contradiction(`this host belongs to mesh ${founding.meshId}, founded ${by}`, stored);
  }
  const former = mode.names.find((one) => seedStore(wanted.meshId, one) === store);
  if (former === undefined || former === name || !mode.names.includes(name)) return;
  throw wrong(
    `this host has the share of seed ${former}, its name is now ${name}`,
    `launch with --name ${former}, or 'tsweave reset' to begin as a new peer`,
  );
}

function contradiction(what: string, seeds: readonly string[] | undefined): TsweaveError {
  const same = seeds === undefined ? "without it" : `with seed=${seeds.join(",")} or without it`;
  return wrong(what, `launch ${same} to stay in it, or 'tsweave reset' to begin as a new peer`);
}

function wrong(what: string, hint: string): TsweaveError {
  return new TsweaveError("CONFIG", `--ipalloc-init: ${what}`, { hint });
}

/** Who reads an option says where it was written. */
function misspelt(what: string, hint: string): TsweaveError {
  return new TsweaveError("CONFIG", what, { hint });
}
