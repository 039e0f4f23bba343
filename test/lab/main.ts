/**
 * `npm run lab -- VERB …`: the lab by hand. Each call finds the lab by its record, so hosts stay
 * up between calls.
 */
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { OUTSIDE_NAME } from "./gateway.ts";
import type { Host } from "./host.ts";
import { Lab } from "./lab.ts";
import { loadRecord } from "./record.ts";

const USAGE = `usage: npm run lab -- [--name LAB] VERB …
  up [--hosts 3|A,B,C] [--no-engines] [--subnet A.B.C.0/24]     down [--all]     ls
  add HOST         exec HOST COMMAND…       docker HOST ARGS…
  crash HOST       boot HOST                engine HOST start|stop|kill
  link HOST up|down      partition A,B C [--one-way]      heal
  loss HOST PERCENT      rate HOST MBIT      mtu HOST BYTES      delay HOST MS
                         (0 ends loss, rate and delay)
LAB is "lab" unless told. Hosts are h1, h2, …; "gateway" may stand in a partition.
`;

class UsageError extends Error {}

interface Flags {
  readonly hosts: string | undefined;
  readonly noEngines: boolean;
  readonly subnet: string | undefined;
  readonly all: boolean;
  readonly oneWay: boolean;
}

type Verb = (name: string, args: string[], flags: Flags) => Promise<number> | number;

const VERBS: Record<string, Verb> = {
  up,
  down: async (name, _args, flags) => {
    const names = flags.all ? Lab.list() : [name];
    if (!flags.all && !Lab.list().includes(name)) throw new Error(`no lab named ${name}`);
    for (const each of names) await Lab.down(each);
    return 0;
  },
  ls: list,
  add: async (name, [host]) => {
    await Lab.load(name).addHost(need(host, "HOST"));
    return 0;
  },
  exec: (name, [host, ...argv]) => enter(hostOf(name, host), argv),
  docker: (name, [host, ...args]) => {
    const target = hostOf(name, host);
    return enter(target, target.dockerArgv(...args));
  },
  crash: (name, [host]) => done(hostOf(name, host).crash()),
  boot: (name, [host]) => done(hostOf(name, host).boot()),
  engine: (name, [host, action]) => {
    const target = hostOf(name, host);
    if (action === "start") return done(target.startEngine());
    if (action === "stop") return done(target.stopEngine());
    if (action === "kill") return done(target.killEngine());
    throw new UsageError("engine HOST start|stop|kill");
  },
  link: (name, [host, state]) => {
    if (state !== "up" && state !== "down") throw new UsageError("link HOST up|down");
    return done(Lab.load(name).link(need(host, "HOST"), state));
  },
  partition: (name, groups, { oneWay }) => {
    if (groups.length < 2) throw new UsageError("partition needs two groups, as A,B C");
    const split = groups.map((group) => group.split(","));
    return done(Lab.load(name).partition(split, { oneWay }));
  },
  heal: (name) => done(Lab.load(name).heal()),
  loss: (name, [host, percent]) =>
    done(Lab.load(name).loss(need(host, "HOST"), count(percent, "PERCENT"))),
  rate: (name, [host, mbit]) => done(Lab.load(name).rate(need(host, "HOST"), count(mbit, "MBIT"))),
  delay: (name, [host, ms]) => done(Lab.load(name).delay(need(host, "HOST"), count(ms, "MS"))),
  mtu: (name, [host, bytes]) => done(Lab.load(name).mtu(need(host, "HOST"), count(bytes, "BYTES"))),
};

async function up(name: string, _args: string[], flags: Flags): Promise<number> {
  const { hosts = "3" } = flags;
  const names = /^\d+$/.test(hosts)
    ? Array.from({ length: Number(hosts) }, (_, index) => `h${index + 1}`)
    : hosts.split(",");
  const lab = await Lab.up({
    name,
    hosts: names,
    engines: !flags.noEngines,
    keep: true,
    ...(flags.subnet === undefined ? {} : { subnet: flags.subnet }),
  });
  for (const host of lab.hosts) console.log(`${host.name}\t${host.address}`);
  console.log(`http://${OUTSIDE_NAME}/ is the outside; enter: npm run lab -- exec h1 bash`);
  return 0;
}

function list(): number {
  for (const name of Lab.list()) {
    console.log(name);
    if (loadRecord(name) === undefined) continue;
    for (const host of Lab.load(name).hosts) {
      console.log(`  ${host.name}\t${host.address}\t${host.isOn ? "on" : "off"}`);
    }
  }
  return 0;
}

/** Runs a command in a host on the caller's terminal and gives its exit code. */
function enter(host: Host, argv: readonly string[]): number {
  if (argv.length === 0) throw new UsageError("no command specified");
  const [command = "", ...args] = [...host.enter, ...argv];
  const result = spawnSync(command, args, { stdio: "inherit", env: host.environment() });
  if (result.error !== undefined) throw result.error;
  return result.status ?? 1;
}

function hostOf(lab: string, host: string | undefined): Host {
  return Lab.load(lab).host(need(host, "HOST"));
}

function need(value: string | undefined, what: string): string {
  if (value === undefined) throw new UsageError(`${what} is missing`);
  return value;
}

function count(value: string | undefined, what: string): number {
  const number = Number(need(value, what));
  if (!Number.isFinite(number) || number < 0) throw new UsageError(`bad ${what} ${value}`);
  return number;
}

async function done(work: Promise<void>): Promise<number> {
  await work;
  return 0;
}

/** Where the caller's own command begins: behind the HOST of exec and docker nothing is ours. */
function splitArgs(argv: readonly string[]): { ours: string[]; theirs: string[] } {
  const verb = argv.findIndex((arg, at) => arg in VERBS && argv[at - 1] !== "--name");
  const passes = ["exec", "docker"].includes(argv[verb] ?? "");
  const end = passes ? verb + 2 : argv.length;
  return { ours: argv.slice(0, end), theirs: argv.slice(end) };
}

async function main(argv: readonly string[]): Promise<number> {
  const { ours, theirs } = splitArgs(argv);
  const { values, positionals } = parseArgs({
    args: ours,
    allowPositionals: true,
    options: {
      name: { type: "string", default: "lab" },
      hosts: { type: "string" },
      subnet: { type: "string" },
      "no-engines": { type: "boolean", default: false },
      all: { type: "boolean", default: false },
      "one-way": { type: "boolean", default: false },
    },
  });
  const [name = "", ...args] = positionals;
  const verb = VERBS[name];
  if (verb === undefined) throw new UsageError(name === "" ? "no verb" : `unknown verb ${name}`);
  return verb(values.name, [...args, ...theirs], {
    hosts: values.hosts,
    noEngines: values["no-engines"],
    subnet: values.subnet,
    all: values.all,
    oneWay: values["one-way"],
  });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  const usage = error instanceof UsageError || code.startsWith("ERR_PARSE_ARGS");
  console.error(`lab: ${error instanceof Error ? error.message : String(error)}`);
  if (usage) console.error(USAGE);
  process.exitCode = usage ? 2 : 1;
}
