/**
 * From probes of each peer's tunnel to what is known of it: it passes, it passes only small
 * packets, it passes nothing, it spoils checksums. Pure.
 *
 * Laws: nothing is concluded from one round, nor while small packets are lost, too; a proof falls
 * only when the full size passes again and again; traffic is the same however many peers there are.
 */
import { LIMITS } from "../../mesh/index.ts";

/** What one round showed of one tunnel. */
export interface ProbeResult {
  /** Small echoes that came back, of how many. */
  readonly small: number;
  readonly tries: number;
  /** Of the full size. */
  readonly isFull: boolean;
  /** Largest packet that came back, when the full size did not. */
  readonly largestBytes: number | null;
  /** A datagram whose checksum the device was to compute was understood; null: not tried. */
  readonly isChecked: boolean | null;
}

export interface Errand {
  readonly vtep: string;
  /** Largest packet of a container, as routes and other hosts have it. */
  readonly fullBytes: number;
}

export interface PathFinding {
  readonly vtep: string;
  readonly kind: "narrow" | "blocked" | "spoiled";
  /** Largest packet of a container that passes; narrow only. */
  readonly passesBytes: number;
}

interface Path {
  fullBytes: number;
  dueMs: number;
  pauseMs: number;
  /** Rounds in a row that showed it. */
  silent: number;
  cut: number;
  whole: number;
  spoiled: number;
  /** Best of the rounds that were cut. */
  best: number;
  /** Proved: packets above this do not pass. */
  limit: number | undefined;
}

const DOUBT_MS = 5000;
/** One round trip of a full-size packet in so long, to all peers together. */
const SHARE_MS = 15_000;
const STEADY_MS_MIN = 60_000;
const AGAIN_MS_MAX = 600_000;
const CUT_ROUNDS = 3;
const WHOLE_ROUNDS = 2;
const SILENT_ROUNDS = 4;
const SPOILED_ROUNDS = 2;
/** Tunnels of one round; the others are due in the next. */
const AT_ONCE = 16;

export class PathProofs {
  /** BOUNDED: LIMITS.peersMax; paths of peers that are gone are dropped by `due`. */
  readonly #paths = new Map<string, Path>();

  /** `limits`: what was proved before a restart, by underlay address. */
  constructor(limits: ReadonlyMap<string, number> = new Map()) {
    for (const [vtep, limit] of limits) this.#paths.set(vtep, { ...newPath(0, 0), limit });
  }

  /** Which tunnels to probe now. `vteps`: those of the peers that are here. */
  due(vteps: readonly string[], fullBytes: number, nowMs: number): Errand[] {
    const here = new Set(vteps.slice(0, LIMITS.peersMax));
    for (const [vtep, { limit }] of this.#paths) {
      const isFull = this.#paths.size > LIMITS.peersMax;
      if (!here.has(vtep) && (limit === undefined || isFull)) this.#paths.delete(vtep);
    }
    const found: Errand[] = [];
    for (const vtep of here) {
      const path = this.#paths.get(vtep) ?? newPath(fullBytes, nowMs);
      this.#paths.set(vtep, path);
      if (path.fullBytes !== fullBytes) {
        path.fullBytes = fullBytes;
        path.dueMs = Math.min(path.dueMs, nowMs);
      }
      if (path.dueMs <= nowMs) found.push({ vtep, fullBytes });
    }
    return found.slice(0, AT_ONCE);
  }

  /** Something changed underneath: all is looked at again soon. */
  doubt(nowMs: number): void {
    for (const path of this.#paths.values()) path.dueMs = Math.min(path.dueMs, nowMs);
  }

  take({ vtep, fullBytes }: Errand, result: ProbeResult, nowMs: number): void {
    const path = this.#paths.get(vtep);
    if (path === undefined) return;
    const { small, tries, isFull, isChecked } = result;
    const isSilent = small === 0 && !isFull;
    const isCut = !isFull && tries > 0 && small === tries;
    path.silent = isSilent ? path.silent + 1 : 0;
    path.spoiled = isChecked === false && small === tries ? path.spoiled + 1 : 0;
    path.whole = isFull ? path.whole + 1 : 0;
    path.cut = isCut ? path.cut + 1 : isFull ? 0 : path.cut;
    path.best = isCut ? Math.max(path.best, result.largestBytes ?? 0) : isFull ? 0 : path.best;
    if (path.whole >= WHOLE_ROUNDS && path.limit !== undefined && fullBytes > path.limit) {
      path.limit = undefined;
    }
    const isProof = path.cut >= CUT_ROUNDS && path.best > 0;
    if (isProof && path.best < (path.limit ?? fullBytes)) path.limit = path.best;
    const isKnown = path.limit !== undefined && path.limit < fullBytes;
    const isOpen = isSilent || path.spoiled > 0 || (isFull && isKnown) || (!isFull && !isKnown);
    const steadyMs = Math.max(STEADY_MS_MIN, SHARE_MS * this.#paths.size);
    const againMs = isKnown ? Math.min(2 * path.pauseMs, AGAIN_MS_MAX) : steadyMs;
    path.pauseMs = isOpen ? DOUBT_MS : Math.max(againMs, isKnown ? STEADY_MS_MIN : 0);
    if (path.silent > SILENT_ROUNDS) path.pauseMs = STEADY_MS_MIN / 2;
    path.dueMs = nowMs + path.pauseMs;
  }

  /** Proved limits by underlay address, in bytes of a container's packet. */
  limits(): ReadonlyMap<string, number> {
    const found = [...this.#paths].flatMap(([vtep, { limit }]) =>
      limit === undefined ? [] : [[vtep, limit] as const],
    );
    return new Map(found);
  }

  /** What a person should know, of the peers that are here. */
  findings(): PathFinding[] {
    return [...this.#paths].flatMap(([vtep, path]): PathFinding[] => {
      const passesBytes = path.limit ?? 0;
      if (path.silent >= SILENT_ROUNDS) return [{ vtep, kind: "blocked", passesBytes }];
      if (path.limit !== undefined) return [{ vtep, kind: "narrow", passesBytes }];
      if (path.spoiled >= SPOILED_ROUNDS) return [{ vtep, kind: "spoiled", passesBytes }];
      return [];
    });
  }
}

function newPath(fullBytes: number, nowMs: number): Path {
  return {
    fullBytes,
    dueMs: nowMs,
    pauseMs: DOUBT_MS,
    silent: 0,
    cut: 0,
    whole: 0,
    spoiled: 0,
    best: 0,
    limit: undefined,
  };
}
