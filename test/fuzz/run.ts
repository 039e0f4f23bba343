/**
 * Runs cases of one target. Law: case `nth` of a seed depends on nothing but those two numbers, so
 * that it can be made again alone; whatever fails is shown with its bytes, shrunk.
 */
import { SeededRandom } from "../lib/seeded-random.ts";
import { FuzzFailure, type Subject, type Target } from "./target.ts";

export interface Plan {
  readonly seed: number;
  readonly cases: number;
}

export interface Report {
  readonly target: string;
  readonly cases: number;
  readonly taken: number;
  /** How many were refused, by reason. */
  readonly refused: ReadonlyMap<string, number>;
  /** How much more memory is in use after the run, all waste collected. */
  readonly heapGrownMib: number;
  readonly ms: number;
}

/** Promises that nobody waits for are given a turn after so many cases. */
const TURN = 64;
const SHRINK_TRIES = 400;
/** Reasons are the product's own words; numbers in them are left out. */
const REASONS_MAX = 1000;

/** Of one case, whatever else runs on the machine. */
const CASE_CPU_MS_MAX = 2000;
/** Bounds of memory, with room for what the engine itself keeps warm. */
const HEAP_GROWTH_MIB_MAX = 160;

/** @throws FuzzFailure */
export async function fuzz(target: Target, { seed, cases }: Plan): Promise<Report> {
  const loose: unknown[] = [];
  const catchLoose = (error: unknown): void => void loose.push(error);
  process.on("unhandledRejection", catchLoose);
  const startMs = performance.now();
  const heapBefore = heapMib();
  const refused = new Map<string, number>();
  let taken = 0;
  let bytes: Uint8Array = new Uint8Array();
  let nth = 0;
  try {
    const subject = await target.open();
    for (; nth < cases; nth += 1) {
      bytes = caseOf(target, seed, nth);
      const why = await runOne(subject, bytes);
      if (why === undefined) taken += 1;
      else if (refused.size < REASONS_MAX || refused.has(why)) {
        refused.set(why, (refused.get(why) ?? 0) + 1);
      }
      if (nth % TURN === TURN - 1 || nth === cases - 1) await turn();
      if (loose.length > 0) throw loose[0];
    }
    await subject.check?.();
    await turn();
    if (loose.length > 0) throw loose[0];
  } catch (error) {
    const small = nth < cases ? await shrunk(target, bytes) : bytes;
    throw new FuzzFailure({ seed, target: target.name, nth }, small, error);
  } finally {
    process.off("unhandledRejection", catchLoose);
  }
  const heapGrownMib = heapMib() - heapBefore;
  const at = { seed, target: target.name, nth: cases };
  if (heapGrownMib > HEAP_GROWTH_MIB_MAX) {
    throw new FuzzFailure(at, bytes, `memory grew by ${heapGrownMib.toFixed(0)} MiB`);
  }
  return {
    target: target.name,
    cases,
    taken,
    refused,
    heapGrownMib,
    ms: performance.now() - startMs,
  };
}

/** The bytes of one case. */
export function caseOf(target: Target, seed: number, nth: number): Uint8Array {
  let mixed = seed >>> 0;
  for (const letter of target.name) mixed = Math.imul(mixed ^ letter.charCodeAt(0), 0x01000193);
  return target.make(new SeededRandom(Math.imul(mixed, 0x9e3779b1) + nth));
}

async function runOne(subject: Subject, bytes: Uint8Array): Promise<string | undefined> {
  const [startMs, before] = [performance.now(), process.cpuUsage()];
  const answer = subject.run(bytes);
  const why = answer instanceof Promise ? await answer : answer;
  if (performance.now() - startMs > CASE_CPU_MS_MAX) {
    const { user, system } = process.cpuUsage(before);
    const spentMs = (user + system) / 1000;
    if (spentMs > CASE_CPU_MS_MAX) throw new Error(`${spentMs.toFixed(0)} ms of processor time`);
  }
  return why?.replace(/\d+/g, "#").slice(0, 80);
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** The shortest bytes found that a fresh subject fails on; `bytes` itself if it does not. */
async function shrunk(target: Target, bytes: Uint8Array): Promise<Uint8Array> {
  const fails = async (tried: Uint8Array): Promise<boolean> => {
    try {
      await runOne(await target.open(), tried);
      return false;
    } catch {
      return true;
    }
  };
  if (!(await fails(bytes))) return bytes;
  let least = Buffer.from(bytes);
  let tries = 0;
  for (let size = least.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at + size <= least.length && tries < SHRINK_TRIES; ) {
      const tried = Buffer.concat([least.subarray(0, at), least.subarray(at + size)]);
      tries += 1;
      if (await fails(tried)) least = tried;
      else at += size;
    }
  }
  return least;
}

function heapMib(): number {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}
