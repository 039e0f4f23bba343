/**
 * From the package to an empty machine again: a .deb under systemd on one, the npm tarball on the
 * other, both clean Debian roots with Docker as Debian packages it, in one mesh.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Examined } from "../../cli/doctor/examine.ts";
import { buildDebianRoot, debianLacks } from "../../cli/packaging/debian-root.ts";
import { Lab } from "../lab/lab.ts";
import { Machine } from "../lab/machine.ts";
import { labPaths } from "../lab/record.ts";
import { copyProgram } from "../lib/bundle.ts";
import { addressOf, assertNoLoss, pinger, start } from "../lib/machine-containers.ts";
import { BUNDLE, eventually } from "../lib/mesh-hosts.ts";
import { ROOT } from "../lib/sources.ts";

/** Depends of the .deb, read from it, are added: what it forgets is missing in the root. */
const PACKAGES = ["systemd", "systemd-sysv", "dbus", "docker.io", "nodejs"];
const NPM = "/usr/lib/node_modules/npm";
const ANY_END = { allowFailure: true } as const;
/** Not compared: no disk, ours to install from, what dpkg, npm and Docker keep of themselves. */
const OTHERS = [
  ...["proc", "sys", "dev", "run", "tmp", "root", "var/tmp", "var/log", "var/cache"],
  ...["dpkg", "apt", "docker", "containerd"].map((name) => `var/lib/${name}`),
  ...["etc/resolv.conf", "etc/mtab"],
].map((path) => `/${path}`);

interface Build {
  readonly version: string;
  readonly deb: string;
  readonly tarball: string;
}

const skip = debianLacks([...PACKAGES, "perl", "nftables", "iproute2"]);
if (skip !== false) console.log(`# install: ${skip}`);

describe("an installation", { skip, timeout: 300_000 }, () => {
  let lab: Lab;
  let work: string;
  let debHost: Machine;
  let npmHost: Machine;
  let first: Build;
  let second: Build;
  /** Every path before, with what is there, by machine. */
  const clean = new Map<Machine, Map<string, string>>();
  /** What the README's steps took up to the first container, by machine. */
  const spentMs = new Map<Machine, number>();
  async function step(machine: Machine, work: () => Promise<unknown>): Promise<void> {
    const startMs = performance.now();
    await work();
    spentMs.set(machine, (spentMs.get(machine) ?? 0) + performance.now() - startMs);
  }

  before(async () => {
    work = mkdtempSync(join(tmpdir(), "tsweave-install-"));
    first = build(join(work, "1"));
    const { version } = first;
    // The next version, which keeps its state in another format.
    second = build(join(work, "2"), (text) => {
      const next = text
        .replace(new RegExp(`\\bVERSION ?= ?"${version}"`), `VERSION = "${version}.1"`)
        .replace(
          /\bSUPPORTED ?= ?\{ ?format: ?1, ?steps: ?\[\] ?\}/,
          "SUPPORTED = { format: 2, steps: [{ from: 1, run: async () => {} }] }",
        );
      assert.match(next, /SUPPORTED = \{ format: 2/);
      return next;
    });
    assert.equal(second.version, `${version}.1`);
    lab = await Lab.up({ name: `inst-${process.pid.toString(36)}`, hosts: [], engines: false });
    const root = join(labPaths(lab.name).dir, "root");
    const depends = execFileSync("dpkg-deb", ["-f", first.deb, "Depends"], { encoding: "utf8" });
    const needed = depends.split(",").map((word) => word.trim().replace(/ .*/, ""));
    buildDebianRoot(root, { packages: [...PACKAGES, ...needed], trees: [NPM] });
    debHost = new Machine(lab, "m1", 1, root);
    npmHost = new Machine(lab, "m2", 2, root);
    await Promise.all([debHost, npmHost].map((machine) => machine.boot()));
    await Promise.all([debHost, npmHost].map((machine) => machine.importImage()));
    // npm makes its prefix where Debian's base-files has not.
    const prefix = ["/usr/local/bin", "/usr/local/lib/node_modules"];
    await Promise.all([debHost, npmHost].map((machine) => machine.ok("mkdir", "-p", ...prefix)));
    for (const machine of [debHost, npmHost]) clean.set(machine, await files(machine));
  });

  after(async () => {
    await Promise.all([debHost, npmHost].map((machine) => machine?.crash()));
    await lab?.down();
    rmSync(work, { recursive: true, force: true });
  });

  it("of the .deb starts nothing", async () => {
    debHost.put(first.deb, "/root/tsweave.deb");
    await step(debHost, () => debHost.ok("dpkg", "-i", "/root/tsweave.deb"));
    assert.equal(await debHost.ok("tsweave", "version"), `tsweave ${first.version}`);
    const state = await debHost.exec(["systemctl", "is-active", "tsweave"], ANY_END);
    assert.equal(state.stdout, "inactive\n");
    const verify = await debHost.exec(["systemd-analyze", "verify", "--man=no", "tsweave.service"]);
    assert.doesNotMatch(verify.stderr, /tsweave\.service/);
  });

  it("of the npm tarball needs no registry and no compiler", async () => {
    await step(npmHost, () => npmInstall(npmHost, first));
    assert.equal(await npmHost.ok("tsweave", "version"), `tsweave ${first.version}`);
  });

  it("lacks nothing, says doctor", async () => {
    for (const machine of [debHost, npmHost]) {
      await step(machine, async () => {
        const { stdout } = await machine.exec(["tsweave", "doctor", "--json"], ANY_END);
        const { findings } = JSON.parse(stdout) as { findings: Examined[] };
        const lacks = findings.filter(({ state }) => state === "fail");
        assert.deepEqual(lacks, []);
      });
    }
  });

  it("joins both hosts, and their containers reach one another", async (context) => {
    const config = JSON.stringify({ peers: [npmHost.address] });
    writeFileSync(debHost.path("/etc/tsweave/config.json"), config);
    // What a person writes who wants a quicker watchdog; the unit's own is 30 s.
    const dropIn = debHost.path("/etc/systemd/system/tsweave.service.d/quick.conf");
    mkdirSync(dirname(dropIn), { recursive: true });
    writeFileSync(dropIn, "[Service]\nWatchdogSec=2\n");
    await debHost.ok("systemctl", "daemon-reload");
    await Promise.all([
      step(debHost, () => debHost.ok("systemctl", "enable", "--now", "tsweave")),
      step(npmHost, () => npmHost.ok("tsweave", "launch", debHost.address)),
    ]);
    const shown = await debHost.ok("systemctl", "show", "tsweave", "-p", "ActiveState,StatusText");
    assert.match(shown, /StatusText=serves as m1 at/);
    assert.match(shown, /ActiveState=active/);
    for (const [machine, name, kind] of [
      [debHost, "web1", ".deb"],
      [npmHost, "web2", "npm"],
    ] as const) {
      await step(machine, async () => {
        await machine.ok("tsweave", "wait", "--for", "ready,peers=2");
        await start(machine, name);
      });
      const seconds = ((spentMs.get(machine) ?? 0) / 1000).toFixed(1);
      context.diagnostic(`${kind}: from the package to a container on the network in ${seconds} s`);
    }
    await debHost.ok("docker", "exec", "web1", "ping", "-c1", "-W2", "web2");
    await npmHost.ok("docker", "exec", "web2", "ping", "-c1", "-W2", "web1");
  });

  it("survives kill -9 and a hang: restarted, with names back on Docker meanwhile", async () => {
    const ping = await debHost.spawn(pinger("web1", await addressOf(npmHost, "web2")));
    for (const [signal, result] of [
      ["KILL", "signal"],
      ["STOP", "watchdog"],
    ] as const) {
      const before = await mainPid(debHost);
      await debHost.ok("sh", "-c", `kill -${signal} ${before}`);
      await eventually("a new daemon", 20_000, async () => {
        const pid = await mainPid(debHost);
        // With a text: without one node looks for its own in the source, for minutes.
        assert.ok(pid !== before && pid !== "0", `still ${pid}`);
        const state = await debHost.ok("systemctl", "show", "tsweave", "-p", "ActiveState");
        assert.equal(state, "ActiveState=active");
      });
      const journal = await debHost.ok("journalctl", "-u", "tsweave", "-o", "cat", "--no-pager");
      assert.match(journal, new RegExp(`Failed with result '${result}'`));
      assert.match(journal, /1 containers back on Docker's resolver/);
      await debHost.ok("docker", "exec", "web1", "ping", "-c1", "-W2", "web2");
    }
    await assertNoLoss(debHost, "web1", ping);
  });

  it("is upgraded without losing a packet", async () => {
    const there = await addressOf(npmHost, "web2");
    const ping = await debHost.spawn(pinger("web1", there));
    debHost.put(second.deb, "/root/tsweave.deb");
    const { stdout } = await debHost.exec(["dpkg", "-i", "/root/tsweave.deb"]);
    assert.match(stdout, /runs on until 'systemctl restart tsweave'/);
    const { version: old } = JSON.parse(await debHost.ok("tsweave", "status", "--json"));
    assert.equal(old, first.version);
    await debHost.ok("systemctl", "restart", "tsweave");
    const journal = await debHost.ok("journalctl", "-u", "tsweave", "-o", "cat", "--no-pager");
    assert.match(journal, /"msg":"stopping; containers keep their network"/);
    await npmInstall(npmHost, second);
    await npmHost.ok("tsweave", "stop");
    await npmHost.ok("tsweave", "launch", debHost.address);
    for (const machine of [debHost, npmHost]) {
      await machine.ok("tsweave", "wait", "--for", "ready,peers=2");
      const { version } = JSON.parse(await machine.ok("tsweave", "status", "--json"));
      assert.equal(version, second.version);
    }
    await assertNoLoss(debHost, "web1", ping);
    await start(debHost, "web3");
    await npmHost.ok("docker", "exec", "web2", "ping", "-c1", "-W2", "web3");
  });

  it("goes back to an older version only as far as the state's format allows", async () => {
    await npmInstall(npmHost, first);
    await npmHost.ok("tsweave", "stop");
    const { code, stderr } = await npmHost.exec(["tsweave", "launch"], ANY_END);
    assert.equal(code, 1);
    const { version } = second;
    assert.match(stderr, new RegExp(`format 2, written by tsweave ${version}; .*reads format 1`));
    assert.match(stderr, new RegExp(`install tsweave ${version} or later`));
    await npmInstall(npmHost, second);
    await npmHost.ok("tsweave", "launch", debHost.address);
    await npmHost.ok("tsweave", "wait", "--for", "ready,peers=2");
    await npmHost.ok("docker", "exec", "web2", "ping", "-c1", "-W2", "web1");
  });

  it("serves before Docker after a boot, so that containers come back by themselves", async () => {
    await debHost.ok("docker", "update", "--restart", "always", "web1");
    await debHost.crash();
    await debHost.boot();
    const serves = await monotonic(debHost, "tsweave", "ActiveEnterTimestampMonotonic");
    const docker = await monotonic(debHost, "docker", "ExecMainStartTimestampMonotonic");
    assert.ok(serves > 0 && serves < docker, `tsweave at ${serves}, docker at ${docker}`);
    await debHost.ok("tsweave", "wait", "--for", "ready,peers=2");
    await eventually("web1 reaches web2", 20_000, () =>
      debHost.ok("docker", "exec", "web1", "ping", "-c1", "-W2", "web2"),
    );
  });

  it("of the .deb, removed, leaves the state, and purged, nothing", async () => {
    await debHost.ok("docker", "rm", "-f", "web1", "web3");
    await debHost.ok("docker", "network", "rm", "tsweave");
    await debHost.ok("dpkg", "-r", "tsweave");
    await assertNothingRuns(debHost);
    const left = new Set([...(await files(debHost)).keys()].filter((path) => /tsweave/.test(path)));
    assert.ok(left.has("/var/lib/tsweave/identity.snapshot"));
    assert.ok(left.has("/etc/tsweave/config.json"));
    assert.ok(![...left].some((path) => path.startsWith("/usr/")), [...left].join(" "));
    await debHost.ok("rm", "-r", "/etc/systemd/system/tsweave.service.d");
    await debHost.ok("dpkg", "-P", "tsweave");
    assertSame(await files(debHost), clean.get(debHost));
  });

  it("of npm, reset and uninstalled, leaves nothing", async () => {
    await npmHost.ok("docker", "rm", "-f", "web2");
    await npmHost.ok("tsweave", "reset", "--yes", "--force");
    await npmHost.ok("npm", "uninstall", "-g", "--prefix", "/usr/local", "tsweave");
    await assertNothingRuns(npmHost);
    assert.doesNotMatch(await npmHost.ok("docker", "network", "ls"), /tsweave/);
    assertSame(await files(npmHost), clean.get(npmHost));
  });
});

/** Both packages of the program, or of a changed one. */
function build(dir: string, change?: (text: string) => string): Build {
  const dist = join(dir, "package/dist");
  const program = copyProgram(BUNDLE, dist, change);
  for (const name of ["tsweave.1", "third-party.txt"]) {
    cpSync(join(dirname(BUNDLE), name), join(dist, name));
  }
  const script = ["--import", "tsx", "cli/packaging/build-deb.ts", dir, program];
  const run = (argv: string[], cwd: string) =>
    execFileSync(argv[0] ?? "", argv.slice(1), { cwd, encoding: "utf8" }).trim();
  const deb = run([process.execPath, ...script], ROOT);
  const version = /_([^_]+)_all\.deb$/.exec(deb)?.[1] ?? "";
  const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  writeFileSync(join(dir, "package/package.json"), JSON.stringify({ ...manifest, version }));
  for (const name of ["README.md", "LICENSE"]) cpSync(join(ROOT, name), join(dir, "package", name));
  const pack = ["npm", "pack", "--ignore-scripts", "--pack-destination", dir];
  const tarball = run(pack, join(dir, "package")).split("\n").at(-1) ?? "";
  return { version, deb, tarball: join(dir, tarball) };
}

async function npmInstall(machine: Machine, { tarball }: Build): Promise<void> {
  machine.put(tarball, "/root/tsweave.tgz");
  const flags = ["-g", "--prefix", "/usr/local", "--offline", "--no-audit", "--no-fund"];
  await machine.ok("npm", "install", ...flags, "/root/tsweave.tgz");
}

async function mainPid(machine: Machine): Promise<string> {
  return await machine.ok("systemctl", "show", "tsweave", "-p", "MainPID", "--value");
}

async function monotonic(machine: Machine, unit: string, property: string): Promise<number> {
  return Number(await machine.ok("systemctl", "show", unit, "-p", property, "--value"));
}

/** Every path where something can stay: its kind, mode, owner, target or content. */
async function files(machine: Machine): Promise<Map<string, string>> {
  const others = OTHERS.map((path) => `-path ${path}`).join(" -o ");
  const find = `find / -xdev \\( ${others} \\) -prune -o`;
  const about = await machine.ok("sh", "-c", `${find} -printf '%p\\t%y %m %U:%G %l\\n'`);
  const contents = await machine.ok("sh", "-c", `${find} -type f -exec md5sum {} +`);
  const found = new Map(about.split("\n").map((line) => line.split("\t") as [string, string]));
  for (const line of contents.split("\n")) {
    const [, sum = "", path = ""] = /^(\w+) {2}(.*)$/.exec(line) ?? [];
    found.set(path, `${found.get(path)} ${sum}`);
  }
  assert.ok(found.size > 1000 && found.has("/etc/passwd"), `${found.size} paths`);
  return found;
}

/** Nothing was added, changed or taken away. */
function assertSame(now: Map<string, string>, then: Map<string, string> | undefined): void {
  const before = then ?? new Map<string, string>();
  const differing = (a: Map<string, string>, b: Map<string, string>) =>
    [...a].filter(([path, facts]) => b.get(path) !== facts).map((one) => one.join(" "));
  assert.deepEqual(
    { now: differing(now, before), was: differing(before, now) },
    { now: [], was: [] },
  );
}

/** No process, socket, namespace, device or table of tsweave. */
async function assertNothingRuns(machine: Machine): Promise<void> {
  const look = `
    for exe in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $exe; echo; done | grep '[t]sweave.*launch'
    find /run /var/run/docker -name '*tsweave*' 2> /dev/null
    ip netns list
    ip -o link show | grep -E 'tsw|vxlan'
    nft list tables | grep tsweave
    systemctl list-unit-files 'tsweave*' --no-legend`;
  const { stdout } = await machine.exec(["sh", "-c", look], ANY_END);
  assert.equal(stdout, "");
}
