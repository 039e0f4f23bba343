/**
 * Transcripts of every command in every situation, on real daemons: what people read is held
 * against a stored text, what programs read against the published schema, and the exit code.
 *
 * Four hosts: two in one mesh, one whose Docker is down, one whose Docker takes connections and
 * never answers.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { COMMANDS } from "../../cli/commands/table.ts";
import { VERSION } from "../../cli/version.ts";
import { freshBundle } from "../lib/bundle.ts";
import { eventually } from "../lib/mesh-hosts.ts";
import { type NetnsDaemon, NetnsDaemons } from "../lib/netns-daemons.ts";
import { type NetnsHost, NetnsLab, sh } from "../lib/netns-hosts.ts";
import { alike, asPublished, sameTranscript, scene } from "../lib/transcripts.ts";
import { type Ran, run } from "../unit/cli/fixture-run.ts";
import { SCENES, type Scene, SITUATIONS, type Situation } from "./transcript-scenes.ts";

const TAG = `s${(process.pid % 0xffff).toString(16)}`;
const NOBODY = 65_534;
const lab = new NetnsLab(TAG);
const dir = mkdtempSync(join(tmpdir(), "tw-transcripts-"));
const bundle = freshBundle(dir);
const daemons = new NetnsDaemons(bundle);
const deaf: Server = createServer(() => undefined);
const written = new Map<string, string[]>();
const names: [string, string][] = [];
let green = "";

function host(index: number): NetnsHost {
  const found = lab.hosts[index - 1];
  assert.ok(found);
  return found;
}

before(async () => {
  chmodSync(dir, 0o755);
  const log = [
    { level: 30, time: "2026-01-02T03:04:05.678Z", part: "mesh", peer: "ab12", msg: "it joined" },
    {
      level: 50,
      time: "2026-01-02T03:04:06.000Z",
      part: "kernel",
      error: "x",
      msg: "a pass failed",
    },
  ];
  writeFileSync(join(dir, "log"), log.map((line) => `${JSON.stringify(line)}\n`).join(""));
  await new Promise<void>((resolve) => deaf.listen(join(dir, "deaf.sock"), resolve));
  await lab.open(4);
  green = await lab.container("green");
  names.push([dir, "DIR"], [`/run/netns/${green}`, "GREEN"], [VERSION, "VERSION"]);
  names.push([process.versions.node, "NODE"], [`tw${TAG}`, "LAB"]);
});

after(async () => {
  deaf.close();
  await daemons.close();
  await lab.close();
  rmSync(dir, { recursive: true, force: true });
});

/** The two of one mesh with an attached namespace each, and the two whose Docker is silent. */
async function startAll(): Promise<void> {
  const seed = ["--ipalloc-init", "seed=host1,host2"];
  const start = (index: number, ...options: string[]): NetnsDaemon =>
    daemons.start(host(index), `host${index}`, options);
  const own = (name: string) => ["--plugin-dir", join(dir, name), "--docker-socket"];
  const [a, b] = [start(1, ...seed, "192.0.2.2"), start(2, ...seed, "192.0.2.1")];
  const down = start(3, ...own("plugins3"), join(dir, "none.sock"));
  const hung = start(4, ...own("plugins4"), join(dir, "deaf.sock"));
  const all = [a, b, down, hung];
  await Promise.all(
    all.map(({ name, client }) =>
      eventually(`${name} has addresses`, 40_000, async () => {
        assert.equal((await client.status()).ipam.founded, true);
      }),
    ),
  );
  const wish = { dns: true, gateway: false, network: "tsweave" };
  for (const [{ client }, name, ip] of [
    [a, "web", "10.32.0.9"],
    [b, "db", "10.44.0.9"],
  ] as const) {
    const netns = await lab.container(name);
    await client.attach({ ...wish, target: netns, names: [name], ip });
  }
  await settled(all);
  for (const { client, name, home } of all) {
    names.push([join(home, "run"), "RUN"], [home, "HOME"]);
    const { peer } = await client.status();
    names.push([String(peer.incarnation), "INCARNATION"]);
    for (const digits of [32, 8]) names.push([peer.id.slice(0, digits), `ID-${name}`]);
    const { endpoints } = await client.ps();
    for (const { id } of endpoints) names.push([id, "ENDPOINT"], [id.slice(0, 12), "ENDPOINT"]);
    for (const { namespace } of (await client.namespaces()).namespaces) {
      names.push([namespace, "NAMESPACE"]);
    }
  }
}

/** Until what is told does not change by itself any more. */
async function settled(all: readonly NetnsDaemon[]): Promise<void> {
  await eventually("all is told", 60_000, async () => {
    for (const { name, client } of all) {
      const { health, kernel } = await client.status();
      assert.ok(kernel.lastReconcileMs !== null && kernel.inSync, `${name} in sync`);
      const isMember = name === "host1" || name === "host2";
      const codes = health.problems.map(({ code }) => code);
      assert.deepEqual(codes, isMember ? [] : ["DOCKER_UNREACHABLE"], name);
      if (!isMember) continue;
      assert.equal((await client.read("endpoints")).endpoints.length, 2);
      const [link] = (await client.read("connections")).connections;
      const isMeasured = link?.direct && link.rttMs !== null && link.traffic !== null;
      assert.ok(isMeasured && link.traffic?.inBytesPerSecond !== null, `${name} link`);
      assert.ok((await client.read("dns")).records.length >= 2, `${name} names`);
    }
  });
}

async function partition(): Promise<void> {
  await sh(`ip -n tw${TAG}-lan link set port2 down`);
  await eventually("host1 takes host2 for dead", 30_000, async () => {
    const [link] = (await daemonIn("partitioned").client.read("connections")).connections;
    assert.equal(link?.state, "lost");
  });
}

const ASKED: Readonly<Record<Situation, number>> = {
  "no daemon": 0,
  "not root": 0,
  well: 0,
  "Docker down": 2,
  "Docker hangs": 3,
  partitioned: 0,
};

function daemonIn(situation: Situation): NetnsDaemon {
  const found = daemons.running[ASKED[situation]];
  assert.ok(found);
  return found;
}

async function play(situation: Situation): Promise<void> {
  const runDir = situation === "no daemon" ? "/nonexistent" : join(daemonIn(situation).home, "run");
  for (const { name, load } of COMMANDS) {
    const takesDir = (await load()).options.some((option) => option.name === "run-dir");
    const at = takesDir ? ["--run-dir", runDir] : [];
    for (const one of SCENES[name]?.filter((each) => each.in.includes(situation)) ?? []) {
      await playScene(situation, name, one, at);
    }
  }
}

async function playScene(
  situation: Situation,
  command: string,
  one: Scene,
  at: readonly string[],
): Promise<void> {
  const words = one.words.replace("GREEN", green).replace("DIR", dir).split(" ").filter(Boolean);
  const uid = situation === "not root" ? NOBODY : undefined;
  const end = words.indexOf("--");
  const argv = [command, ...(end < 0 ? [...words, ...at] : words.toSpliced(end, 0, ...at))];
  const isProcess = one.asProcess === true || uid !== undefined;
  const go = (more: readonly string[] = []): Promise<Ran> =>
    isProcess ? asProcess([...argv, ...more], uid) : run([...argv, ...more]);
  const title = ["tsweave", command, one.words].filter(Boolean).join(" ");
  const raw = await go();
  const ran = kept(words.includes("--json") ? asPublished(raw, one.schema, title) : raw, one);
  written.set(command, [
    ...(written.get(command) ?? []),
    scene(`${situation}: ${title}`, ran, names),
  ]);
  if (one.schema === undefined || ran.out === "" || words.includes("--json")) return;
  const again = await go(["--json"]);
  assert.equal(again.code, raw.code, `${situation}: ${title} --json: ${again.err}`);
  asPublished(again, one.schema, `${situation}: ${title} --json`);
}

/** Lines about the machine left out, the rest in an order of their own. */
function kept(ran: Ran, { only, isOfMachine }: Scene): Ran {
  if (only === undefined || ran.out === "") return ran;
  const lines = alike(ran.out, names)
    .split("\n")
    .filter((line) => only.test(line));
  const out = lines.map((line) => `${line}\n`).toSorted();
  return { ...ran, out: out.join(""), code: isOfMachine === true ? null : ran.code };
}

/** As the executable, in the first host's namespace. */
async function asProcess(argv: readonly string[], uid: number | undefined): Promise<Ran> {
  const whose = uid === undefined ? [] : ["setpriv", `--reuid=${uid}`, "--clear-groups", "--"];
  const program = [...whose, process.execPath, bundle, ...argv];
  const child = spawn("nsenter", [`--net=/run/netns/${host(1).netns}`, ...program], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const texts = ["", ""];
  for (const [at, stream] of [child.stdout, child.stderr].entries()) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      texts[at] += text;
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject).once("close", resolve);
  });
  const [out = "", err = ""] = texts;
  return { code, out, err };
}

test("every command is in the table, and nothing else", () => {
  assert.deepEqual(Object.keys(SCENES).toSorted(), COMMANDS.map(({ name }) => name).toSorted());
});

test("a wrong option is named", async () => {
  for (const { name } of COMMANDS) {
    const ran = await run([name, "--no-such-option"]);
    assert.deepEqual([ran.code, ran.out], [2, ""], name);
    written.set(name, [scene(`tsweave ${name} --no-such-option`, ran, names)]);
  }
});

for (const situation of SITUATIONS) {
  test(`played: ${situation}`, async () => {
    if (situation === "not root") await startAll();
    if (situation === "partitioned") await partition();
    await play(situation);
  });
}

for (const { name } of COMMANDS) {
  test(`transcript of ${name}`, () => sameTranscript(name, written.get(name) ?? []));
}
