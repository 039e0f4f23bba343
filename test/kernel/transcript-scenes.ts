/**
 * What each command is asked in which situation, for transcripts.test.ts: a row a command. Besides,
 * every command is asked with a wrong option.
 */

/** In the order in which they are played. */
export const SITUATIONS = [
  "no daemon",
  "not root",
  "well",
  "Docker down",
  "Docker hangs",
  "partitioned",
] as const;
export type Situation = (typeof SITUATIONS)[number];

export interface Scene {
  readonly words: string;
  readonly in: readonly Situation[];
  /** Runs as a process in the first host's namespace, not within the test. */
  readonly asProcess?: true;
  /** Lines of the machine it runs on are left out: only these and errors are kept, sorted. */
  readonly only?: RegExp;
  /** With `only`: the exit code follows from what is left out. */
  readonly isOfMachine?: true;
  /**
   * Words of its schema, where it takes --json: it is then asked that way too, or, where the words
   * have --json because the command cannot be given twice, only so.
   */
  readonly schema?: string;
}

const DOWN = ["no daemon", "not root"] as const;
const EVERYWHERE = [...SITUATIONS] as const;
const AT_DAEMONS = ["well", "Docker down", "Docker hangs", "partitioned"] as const;

/** The same words wherever they are asked. */
const at = (where: readonly Situation[], words = "", more: Partial<Scene> = {}): Scene => ({
  words,
  in: where,
  ...more,
});
const read = (where: readonly Situation[], schema: string, words = ""): Scene =>
  at(where, words, { schema });
const table = (name: string): Scene => read(AT_DAEMONS, `status ${name}`, name);
const inside = { asProcess: true } as const;
/** What doctor finds on any machine. */
const ofMachine: Partial<Scene> = {
  ...inside,
  isOfMachine: true,
  only: /^(CHECK|daemon|health|peers|docker) /,
};

export const SCENES: Readonly<Record<string, readonly Scene[]>> = {
  launch: [at(["not root"])],
  stop: [at(DOWN)],
  status: [
    read(EVERYWHERE, "status"),
    at(["no daemon", "well", "Docker hangs", "partitioned"], "--check"),
    ...["peers", "connections", "targets", "networks", "endpoints", "ipam", "dns"].map(table),
    at(["well"], "nothing"),
  ],
  wait: [
    at(["no daemon"], "--timeout 0"),
    read(["well"], "wait", "--for founded,peers=2"),
    at(["partitioned"], "--for peers=2 --timeout 0"),
    at(["Docker hangs", "Docker down"], "--timeout 1"),
    at(["Docker hangs"], "--for founded,in-sync --timeout 1"),
  ],
  connect: [at([...DOWN, "well"], "192.0.2.9"), at(["well"])],
  forget: [at([...DOWN, "well"], "192.0.2.9"), at(["well"])],
  rmpeer: [
    at(DOWN, "host9 --yes"),
    at(["well"], "host9 --yes"),
    at(["well"], "host2 --yes"),
    at(["partitioned"], "host2"),
    at(["partitioned"], "host2 --yes"),
  ],
  adopt: [at(DOWN, "host2 --yes"), at(["well"], "host2 --yes"), at(["well"])],
  leave: [at(DOWN)],
  reset: [at(["no daemon"])],
  attach: [
    at(DOWN, "/run/netns/nothing"),
    at(["well"], "/run/netns/nothing"),
    read(["well"], "attach", "GREEN 10.44.0.7 --name green --no-gateway"),
    read(["partitioned"], "attach", "GREEN 10.32.0.7 --no-gateway --json"),
  ],
  ps: [read([...DOWN, ...AT_DAEMONS], "ps")],
  detach: [
    at(DOWN, "/run/netns/nothing"),
    at(["well"], "/run/netns/nothing"),
    at(["well"], "GREEN"),
    read(["partitioned"], "detach", "GREEN --json"),
  ],
  expose: [
    at(DOWN),
    at(["well"], "10.44.0.99"),
    read(["partitioned"], "expose", "10.32.0.99 --json"),
  ],
  hide: [at(DOWN), at(["well"]), at(["well"]), read(["partitioned"], "hide", "--json")],
  reconcile: [at(DOWN), read(["well"], "reconcile", "--dry-run"), at(["well"])],
  netns: [
    at(["no daemon"], "tsweave -- true", inside),
    read(["well", "partitioned"], "netns"),
    at(["well"], "tsweave -- ip -br -4 addr show dev br0", inside),
    at(["well"], "nothing -- true", inside),
  ],
  links: [at(["well"], "999999999"), at(["well"], "x")],
  "dns-add": [at(DOWN, "printer 192.0.2.50"), at(["well"], "printer 192.0.2.50")],
  "dns-lookup": [
    at(DOWN, "web"),
    read(["well", "Docker hangs", "partitioned"], "dns-lookup", "web"),
    at(["well"], "printer"),
    at(["well", "partitioned"], "db"),
  ],
  "dns-remove": [at(DOWN, "printer"), at(["well"], "printer"), at(["well"], "printer")],
  network: [
    read([...DOWN, ...AT_DAEMONS], "network ls"),
    at(["no daemon", "well", "Docker down"], "create blue"),
    read(["well"], "network create", "create red --subnet 10.90.0.0/16 --internal --json"),
    at(["well"], "create red"),
    at(["well"], "rm nothing"),
    at(["well"], "rm blue"),
    read(["well"], "network rm", "rm red --json"),
  ],
  keys: [read([...DOWN, "well"], "keys"), at(["well"], "use")],
  ping: [
    at(["no daemon"], "host2", inside),
    { ...read(["well"], "ping", "host2 -c 1"), ...inside },
    at(["partitioned"], "host2 -c 1", inside),
    at(["well"], "nobody", inside),
  ],
  test: [read([...DOWN, "well", "partitioned"], "test")],
  explain: [
    at([...DOWN], "web db", inside),
    at(["well", "partitioned"], "web db", inside),
    at(["well"], "web nobody", inside),
    { ...read(["well"], "explain", "web db tcp/80 --json"), ...inside },
  ],
  doctor: [
    at(["not root"], "", inside),
    { ...read(["well"], "doctor"), ...ofMachine },
    at(["Docker hangs", "partitioned"], "", ofMachine),
  ],
  report: [at(["well"], "-o DIR/r.tar.gz", inside)],
  events: [
    at(DOWN),
    at(["well"], "", { schema: "events", only: / (daemon-started|peer-alive|endpoint-added) / }),
    at(["partitioned"], "", { only: / peer-dead / }),
  ],
  logs: [
    read(["no daemon"], "logs", "--log-file DIR/log"),
    at(["no daemon"], "--log-file DIR/none"),
  ],
  "log-level": [
    at(DOWN),

    { ...read(["well"], "log-level"), only: /^(log|PART|all others|kernel|mesh) / },
    at(["well"], "loud"),
  ],
  completion: [at(["no daemon"], "bash", { only: /^complete / }), at(["no daemon"], "tcsh")],
  schema: [at(["no daemon"], "version"), at(["no daemon"], "stop")],
  version: [read(["no daemon"], "version")],
  help: [at(["no daemon"], "stop"), at(["no daemon"], "nothing")],
};
