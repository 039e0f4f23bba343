/**
 * `npm run chaos`: real hosts with real engines under churn and faults drawn from a seed; what is
 * observed is held against the laws at quiet points and at the end. Removes everything it made,
 * also on failure and on SIGINT.
 */
import type { MeshHosts } from "../lib/mesh-hosts.ts";
import { isChurn, type Round, type Step, stepText } from "./action.ts";
import { leftAtTheEnd } from "./end.ts";
import { Facts } from "./facts.ts";
import { Growth } from "./growth.ts";
import { healAll } from "./heal.ts";
import {
  doubles,
  killedEngines,
  replacedHosts,
  staleAnswers,
  unexplainedLosses,
  unexplainedRefusals,
} from "./judge.ts";
import { PingPair, Recorder } from "./observe.ts";
import { type ChaosOptions, optionsOf, replayText, USAGE } from "./options.ts";
import { Performer } from "./perform.ts";
import { plan } from "./plan.ts";
import { quietPoint } from "./quiet.ts";
import { World } from "./world.ts";

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function scheduleOf(options: ChaosOptions): Round[] {
  const hosts = Array.from({ length: options.hosts }, (_, at) => `h${at + 1}`);
  const whole = plan({ ...options, hosts, tight: hosts.at(-1) ?? "" });
  const isKept = ({ number, action }: Step): boolean =>
    (options.until === null || number <= options.until) &&
    (options.only === null || isChurn(action) || options.only.includes(number));
  return whole
    .map((round) => ({ ...round, steps: round.steps.filter(isKept) }))
    .filter(({ number, steps }) => number === 1 || steps.length > 0);
}

class Run {
  readonly #options: ChaosOptions;
  readonly #facts = new Facts();
  readonly #growth = new Growth();
  readonly #violations: { until: number; text: string }[] = [];
  readonly #quietMs: number[] = [];
  #lostPings = 0;
  #rounds = 0;
  #mesh: MeshHosts | undefined;

  constructor(options: ChaosOptions) {
    this.#options = options;
  }

  /** The number of violations. */
  async all(rounds: readonly Round[]): Promise<number> {
    const hosts = Array.from({ length: this.#options.hosts }, (_, at) => `h${at + 1}`);
    const tight = hosts.at(-1) ?? "";
    const world = await World.up(hosts, { tight, keep: this.#options.isKept }, (mesh) => {
      this.#mesh = mesh;
    });
    say(`${hosts.length} hosts are up; seed ${this.#options.seed}, ${rounds.length} rounds`);
    const recorder = new Recorder(world, this.#facts);
    recorder.start();
    try {
      const performer = new Performer(world, this.#facts, say);
      for (const round of rounds) {
        if (world.nowMs > this.#options.wallMs) break;
        await this.#round(world, performer, round);
        this.#rounds += 1;
      }
    } catch (error) {
      // Hosts that do not heal are a finding; what was found before is told all the same.
      const done = rounds.slice(0, this.#rounds + 1).flatMap(({ steps }) => steps);
      this.#found(done.at(-1)?.number ?? 0, `not healed: ${String(error)}`);
      return this.#end(rounds);
    } finally {
      await recorder.stop();
    }
    const last = rounds.at(-1)?.steps.at(-1)?.number ?? 0;
    if (!this.#options.isKept || this.#violations.length === 0) {
      for (const text of await leftAtTheEnd(world)) this.#found(last, text);
    }
    return this.#end(rounds);
  }

  async down(): Promise<void> {
    await this.#mesh?.lab.down();
  }

  get labName(): string {
    return this.#mesh?.lab.name ?? "";
  }

  async #round(world: World, performer: Performer, round: Round): Promise<void> {
    say(`\nround ${round.number} (${round.theme})`);
    const until = round.steps.at(-1)?.number ?? 0;
    const { hosts } = world;
    const pairs = await Promise.all(
      hosts.map((from, at) =>
        PingPair.start(world, this.#facts, from, hosts[(at + 1) % hosts.length] ?? ""),
      ),
    );
    await performer.round(round.steps);
    await healAll(world);
    await performer.settle();
    const { faults } = this.#facts;
    const addresses = (some: readonly string[]): ReadonlySet<string> =>
      new Set(some.map((host) => world.mesh.address(host)));
    const past = {
      names: () => new Set(this.#facts.sightings.map(({ name }) => name)),
      replaced: () => addresses(replacedHosts(faults, world.nowMs, Number.POSITIVE_INFINITY)),
      killedEngines: () => new Set(killedEngines(faults, world.nowMs)),
      justReplaced: () => addresses(replacedHosts(faults, world.nowMs)),
    };
    const quiet = await quietPoint(world, past, this.#options.boundMs);
    for (const pair of pairs) await pair.stop();
    const { violations, line } = await this.#growth.measure(world);
    this.#quietMs.push(quiet.tookMs);
    for (const one of quiet.seen) say(`    not quiet at ${one}`);
    say(`quiet after ${(quiet.tookMs / 1000).toFixed(1)} s; ${line}`);
    for (const text of [...quiet.violations, ...violations]) this.#found(until, text);
    this.#judgeFacts(until);
  }

  /** What the record says; each finding is told once. */
  #judgeFacts(until: number): void {
    const { sightings, faults, lost, refusals, answers } = this.#facts;
    const found = [
      ...doubles(sightings),
      ...unexplainedLosses(lost, faults),
      ...unexplainedRefusals(refusals, faults),
      ...staleAnswers(answers, sightings, faults, this.#options.boundMs),
    ];
    // The next round is judged by its own losses; what runs on must still be known.
    this.#lostPings += lost.length;
    lost.length = 0;
    refusals.length = 0;
    answers.length = 0;
    for (const text of found) {
      if (!this.#violations.some((one) => one.text === text)) this.#found(until, text);
    }
  }

  #found(until: number, text: string): void {
    this.#violations.push({ until, text });
    say(`VIOLATION ${text}`);
  }

  #end(rounds: readonly Round[]): number {
    const { sightings, pings, commands, faults } = this.#facts;
    const containers = new Set(sightings.map(({ id }) => id)).size;
    const longest = (Math.max(...this.#quietMs) / 1000).toFixed(1);
    say(`\n${this.#rounds} rounds, ${commands} commands, ${faults.length} faults,`);
    say(`${containers} containers seen,`);
    say(`${pings} pings answered, ${this.#lostPings} lost; quiet after ${longest} s at most;`);
    say(`${this.#violations.length} violations`);
    const first = this.#violations[0];
    if (first === undefined) return 0;
    say("\nthe schedule up to the first violation:");
    const steps = rounds.flatMap((round) => round.steps);
    for (const step of steps.filter(({ number }) => number <= first.until)) say(stepText(step));
    for (const { text } of this.#violations) say(`VIOLATION ${text}`);
    say(`seed ${this.#options.seed}; replay: ${replayText(this.#options, first.until)}`);
    return this.#violations.length;
  }
}

async function main(): Promise<number> {
  // A reader that has seen enough (`| head`) must not keep the hosts from being removed.
  process.stdout.on("error", () => undefined);
  let options: ChaosOptions;
  try {
    options = optionsOf(process.argv.slice(2), Date.now());
  } catch (error) {
    process.stderr.write(`chaos: ${error instanceof Error ? error.message : error}\n${USAGE}\n`);
    return 2;
  }
  const rounds = scheduleOf(options);
  if (options.isPlanOnly) {
    for (const { number, theme, steps } of rounds) {
      say(`round ${number} (${theme})`);
      for (const step of steps) say(stepText(step));
    }
    return 0;
  }
  const run = new Run(options);
  const stop = (): void => {
    say("interrupted: removing everything");
    run
      .down()
      .catch((error: unknown) => say(String(error)))
      .finally(() => process.exit(130));
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  let violations = 1;
  try {
    violations = await run.all(rounds);
  } finally {
    if (options.isKept && violations > 0) say(`kept: npm run lab -- --name ${run.labName} down`);
    else await run.down();
  }
  return violations === 0 ? 0 : 1;
}

process.exitCode = await main();
