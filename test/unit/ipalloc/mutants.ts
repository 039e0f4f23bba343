/**
 * The planted faults: each takes one safety rule out of the real source, and the checkers must find
 * it. `mutants.json` names the seed that does. UPDATE_MUTANTS=n searches up to n seeds each anew.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import type { AdoptionSchedule } from "./sim-adoption.ts";
import type { DepartureSchedule, Mode } from "./sim-departures.ts";
import type { SCENES, Scene } from "./sim-scenes.ts";
import type { Schedule } from "./sim-schedule.ts";

export interface Mutant {
  /** The rule of DESIGN.md that it breaks. */
  readonly rule: string;
  readonly name: string;
  /** What finds it: a random schedule of this mode, or a scene. */
  readonly mode?: Mode | "adoption" | "setBacks";
  readonly scene?: Scene;
  /** Where a rule is kept twice, both places go. */
  readonly edits: readonly Edit[];
}

interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

const HONEST = { mode: "honest" } as const;
const LYING = { mode: "lying" } as const;
const ADOPTION = { mode: "adoption" } as const;
const SET_BACKS = { mode: "setBacks" } as const;

export const MUTANTS: readonly Mutant[] = [
  {
    ...HONEST,
    rule: "R1",
    name: "a store is named after its host",
    edits: [
      {
        file: "ip-alloc.ts",
        find: 'return Buffer.from(this.#ports.random.bytes(8)).toString("hex");',
        replace: "return this.#options.self.slice(16);",
      },
    ],
  },
  {
    ...HONEST,
    rule: "R2",
    name: "nobody waits for the disk",
    edits: [
      {
        file: "ledger.ts",
        find: "await store.append(KEY, bytes);",
        replace: "void store.append(KEY, bytes);",
      },
    ],
  },
  {
    scene: "votes",
    rule: "R2",
    name: "a vote is not written down",
    edits: [
      {
        file: "council.ts",
        find: 'await commit({ kind: "ballot", base: key, vote: next });',
        replace: "",
      },
    ],
  },
  {
    scene: "votes",
    rule: "R2",
    name: "a value that may have been chosen is not kept",
    edits: [
      {
        file: "council.ts",
        find: "const bound = boundValue(promises.accepted);",
        replace: "const bound = boundValue([] as typeof promises.accepted);",
      },
    ],
  },
  {
    ...HONEST,
    rule: "R3",
    name: "who leaves goes on granting",
    edits: [
      {
        file: "allocator.ts",
        find: "if (this.#parts.barred() !== undefined) return undefined;",
        replace: "",
      },
    ],
  },
  {
    ...HONEST,
    rule: "R4",
    name: "an address in use is given away",
    edits: [
      {
        file: "space.ts",
        find: "if (obstacle === undefined || runsThere || isGone)",
        replace: "if (obstacle !== 'reserved')",
      },
    ],
  },
  {
    ...HONEST,
    rule: "R5",
    name: "one elector decides",
    edits: [
      {
        file: "roster.ts",
        find: "const needed = Math.floor(electors.length / 2) + 1;",
        replace: "const needed = 1;",
      },
    ],
  },
  {
    ...HONEST,
    rule: "R6",
    name: "space is taken before all have answered",
    edits: [
      {
        file: "heir.ts",
        find: "if (silent.length > 0) return;",
        replace: "",
      },
    ],
  },
  {
    scene: "chain",
    rule: "R6",
    name: "answers of an earlier roster count: freeze store by store",
    edits: [
      {
        file: "heir.ts",
        find: "if (state.roster !== base || !state.isMember) return 0n;",
        replace: "if (!state.isMember) return 0n;",
      },
    ],
  },
  {
    ...HONEST,
    rule: "R6",
    name: "who answers does not freeze",
    edits: [
      {
        file: "heir.ts",
        find: "if (adoption !== undefined) await commit(adoption);",
        replace: "if (adoption !== undefined) return [state.store, [[], []], [[], []]];",
      },
    ],
  },
  {
    ...HONEST,
    rule: "R6",
    name: "everybody is the heir by its own view",
    edits: [
      {
        file: "heir.ts",
        find: "if (!state.isMember || roster.heir !== state.store) return [];",
        replace: "if (!state.isMember) return [];",
      },
    ],
  },
  {
    ...HONEST,
    rule: "R6",
    name: "the generation is not raised",
    edits: [
      {
        file: "heir.ts",
        find: "{ generation, step: 0, by",
        replace: "{ generation: 0, step: 0, by",
      },
    ],
  },
  {
    ...HONEST,
    rule: "R6",
    name: "space that was handed on in time is taken too",
    edits: [
      {
        file: "ownership.ts",
        find: "return isMember(record.by) || active ? undefined : record;",
        replace: "return isMember(record.by) ? undefined : record;",
      },
    ],
  },
  {
    ...HONEST,
    rule: "R6",
    name: "gifts that never arrived are left with nobody",
    edits: [
      {
        file: "ownership.ts",
        find: "return isMember(record.by) || active ? undefined : record;",
        replace: "return undefined;",
      },
    ],
  },
  {
    ...HONEST,
    rule: "R7",
    name: "a new store does not replace the host's old one",
    edits: [
      {
        file: "roster.ts",
        find: 'if (admitted.has(peer)) return "replaced";',
        replace: "",
      },
    ],
  },
  {
    scene: "oldQuestion",
    rule: "R9",
    name: "who asks is not asked back",
    edits: [
      {
        file: "registrar.ts",
        find: "await this.#admissions.verify();",
        replace: "",
      },
    ],
  },
  {
    ...LYING,
    rule: "R10",
    name: "a removed store does not see that it was",
    edits: [
      {
        file: "state.ts",
        find: "const retired = this.retired || (this.isMember && cut) || told || isCopy;",
        replace: "const retired = isCopy;",
      },
    ],
  },
  {
    ...LYING,
    rule: "R10",
    name: "a removed store goes on owning",
    edits: [
      {
        file: "state.ts",
        find: "return !this.retired && this.isPeer(this.#store);",
        replace: "return true;",
      },
    ],
  },
  {
    scene: "lateGift",
    rule: "R3",
    name: "gifts and rows of removed stores still count",
    edits: [
      {
        file: "rows.ts",
        find: "if (from !== undefined && !state.isPeer(from)) return [];",
        replace: "",
      },
      {
        file: "rows.ts",
        find: "return owner !== state.store || (state.isMember && state.isPeer(by));",
        replace: "return true;",
      },
    ],
  },
  {
    ...HONEST,
    rule: "R4",
    name: "space is given to and taken by who is not admitted",
    edits: [
      {
        file: "space.ts",
        find: "if (!state.isPeer(to)) throw new TsweaveError(",
        replace: 'if (state.store === "") throw new TsweaveError(',
      },
      {
        file: "rows.ts",
        find: "return owner !== state.store || (state.isMember && state.isPeer(by));",
        replace: "return true;",
      },
      {
        file: "seeker.ts",
        find: "if (!pool.open || !this.#ledger.state.isMember || this.#paused()) return false;",
        replace: "if (!pool.open || this.#ledger.state.founding === undefined) return false;",
      },
      {
        file: "life.ts",
        find: "if (ledger.state.founding === undefined || ledger.state.isMember) return undefined;",
        replace: "return undefined;",
      },
    ],
  },
  {
    scene: "stillRuns",
    rule: "R7/R8",
    name: "what runs is neither told to the heir nor kept back",
    edits: [
      {
        file: "heir.ts",
        find: "if (!pool.owns(address)) running.add(address, address + 1n);",
        replace: "",
      },
      {
        file: "pool.ts",
        find: "return this.#running().get(address);",
        replace: "return undefined;",
      },
      {
        file: "pool.ts",
        find: "if (this.#running().size === 0) return free;",
        replace: "return free;",
      },
    ],
  },
  {
    mode: "honest",
    rule: "R3",
    name: "who proposed to leave and gave up goes on granting",
    edits: [
      {
        file: "state.ts",
        find: "return this.roster !== undefined && this.leavingFrom === rosterKey(this.roster);",
        replace: "return false;",
      },
    ],
  },
  {
    ...ADOPTION,
    rule: "R7/R8",
    name: "who is adopted leaves its leases behind",
    edits: [
      {
        file: "state.ts",
        find: 'if (record.kind !== "own") yield record;',
        replace: 'if (record.kind === "open") yield record;',
      },
    ],
  },
  {
    ...ADOPTION,
    rule: "R1",
    name: "who is adopted takes its ranges along",
    edits: [
      {
        file: "state.ts",
        find: 'if (record.kind !== "own") yield record;',
        replace: "yield record;",
      },
    ],
  },
  {
    ...SET_BACKS,
    rule: "R2",
    name: "nobody shows what a disk that was set back forgot",
    edits: [
      {
        file: "witness.ts",
        find: "const missed = news(shouldShow, records);",
        replace: "const missed = NOTHING;",
      },
    ],
  },
];

export interface Simulation {
  readonly AdoptionSchedule: typeof AdoptionSchedule;
  readonly DepartureSchedule: typeof DepartureSchedule;
  readonly SCENES: typeof SCENES;
  readonly Schedule: typeof Schedule;
}

/** The simulation over the source with `mutant` planted. @throws when the place is not found. */
export async function planted(mutant: Mutant): Promise<Simulation> {
  const folder = await mkdtemp(join(tmpdir(), "tsweave-mutant-"));
  const here = new URL(".", import.meta.url).pathname;
  try {
    const outfile = join(folder, "simulation.mjs");
    const { outputFiles } = await build({
      stdin: {
        contents: ["departures", "scenes", "adoption", "schedule"]
          .map((part) => `export * from "./sim-${part}.ts";`)
          .join(""),
        resolveDir: here,
      },
      bundle: true,
      write: false,
      platform: "node",
      format: "esm",
      banner: {
        js: 'import { createRequire as r } from "node:module"; const require = r(import.meta.url);',
      },
      plugins: [plant(mutant)],
    });
    await writeFile(outfile, outputFiles[0]?.contents ?? "");
    return (await import(pathToFileURL(outfile).href)) as Simulation;
  } finally {
    await rm(folder, { recursive: true });
  }
}

function plant({ edits, name }: Mutant): import("esbuild").Plugin {
  const files = [...new Set(edits.map(({ file }) => file.replace(".", "\\.")))];
  return {
    name: "plant",
    setup(setup) {
      const filter = new RegExp(`/ipalloc/(${files.join("|")})$`);
      setup.onLoad({ filter }, async ({ path }) => {
        let source = await readFile(path, "utf8");
        for (const { file, find, replace } of edits) {
          if (!path.endsWith(`/ipalloc/${file}`)) continue;
          const [before, after, ...more] = source.split(find);
          if (before === undefined || after === undefined || more.length > 0) {
            throw new Error(`mutant '${name}': its place in ${file} is not there exactly once`);
          }
          source = before + replace + after;
        }
        return { contents: source, loader: "ts" };
      });
    },
  };
}

/** What the checkers say of one schedule, or of the mutant's scene; undefined when it passes. */
export async function finding(
  simulation: Simulation,
  { mode, scene }: Mutant,
  seed: number,
): Promise<string | undefined> {
  try {
    if (scene !== undefined) await simulation.SCENES[scene]();
    else if (mode === "adoption") await new simulation.AdoptionSchedule(seed).run();
    else if (mode === "setBacks") await new simulation.Schedule(seed, { setBacks: true }).run();
    else await new simulation.DepartureSchedule(seed, mode).run();
    return undefined;
  } catch (error) {
    return (error as Error).message.split("\n")[0] ?? "";
  }
}
