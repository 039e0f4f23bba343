/**
 * The DNS hook on a real kernel: a namespace with a stand-in for Docker's resolver behind
 * Docker-like rules, and the service answering lookups made inside it. Needs root.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import {
  DnsService,
  HelperSandboxHook,
  type NameRecord,
  perlHelper,
  restoreSandbox,
  waitForSandbox,
} from "../../dns/index.ts";
import { processClock } from "../../mesh/io/clock.ts";
import { QuietLog } from "../lib/quiet-log.ts";
import { SeededRandom } from "../lib/seeded-random.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const TAG = `dns${process.pid}`;
const FOREIGN_MARK = "192.0.2.1";

const clock = processClock();

interface Answered {
  readonly failed?: string;
  readonly rcode: string;
  readonly idMatches: boolean;
  readonly truncated: boolean;
  readonly bytes: number;
  readonly hasOpt: boolean;
  readonly answers: string[];
  readonly ttl: number;
}

/** A process inside the namespace: see dns-sandbox-agent.mjs. */
class Agent {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (result: never) => void>();
  #next = 0;

  constructor(key: string) {
    const script = join(ROOT, "test/kernel/dns-sandbox-agent.mjs");
    this.#child = spawn("nsenter", [`--net=${key}`, process.execPath, script], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#child.on("message", ({ id, result }: { id: number; result: never }) => {
      this.#waiting.get(id)?.(result);
      this.#waiting.delete(id);
    });
  }

  do<T>(operation: string, options: object = {}): Promise<T> {
    const id = this.#next++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve as (result: never) => void);
      this.#child.send({ id, operation, options });
    });
  }

  ask(name: string, options: object = {}): Promise<Answered> {
    return this.do<Answered>("askUdp", { name, ...options });
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("close", resolve));
    this.#child.kill("SIGKILL");
    await ended;
  }
}

/** A sandbox as Docker makes one, with its resolver's rules at priority -100. */
class Sandbox {
  readonly name: string;
  readonly key: string;
  readonly agent: Agent;

  constructor(name: string) {
    this.name = `${TAG}${name}`;
    this.key = `/var/run/netns/${this.name}`;
    execFileSync("ip", ["netns", "add", this.name]);
    execFileSync("ip", ["-n", this.name, "link", "set", "lo", "up"]);
    this.agent = new Agent(this.key);
  }

  nft(text: string): string {
    return execFileSync("nsenter", [`--net=${this.key}`, "nft", text]).toString();
  }

  /** Starts (or moves) the stand-in resolver and points Docker's rules at it. */
  async resolver(): Promise<void> {
    const port = await this.agent.do<number>("listen");
    this.nft(`table ip docker_like
      delete table ip docker_like
      table ip docker_like { chain out {
        type nat hook output priority -100; policy accept;
        ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:${port}
        ip daddr 127.0.0.11 tcp dport 53 dnat to 127.0.0.11:${port}
      }
    }`);
  }

  /** Namespace of its own tables only: is our redirect in it? */
  get hooked(): boolean {
    return this.nft("list tables").includes("tsweave_dns");
  }

  async end(): Promise<void> {
    await this.agent.end();
    execFileSync("ip", ["netns", "del", this.name]);
  }
}

const record = (name: string, ip: string, network = "tsweave"): NameRecord => ({
  network,
  names: [name],
  ip,
  peer: "a".repeat(32),
  endpointId: `${name}-${ip}`,
});

const perl = await perlHelper();
const KINDS = perl === undefined ? (["node"] as const) : (["perl", "node"] as const);

for (const kind of KINDS)
  describe(`dns hook, ${kind} helper`, { timeout: 60_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), "tsweave-dns-"));
    const nodeHelper = [process.execPath, join(folder, "helper.mjs"), "__sandbox"];
    const helperCommand = kind === "perl" && perl !== undefined ? perl : nodeHelper;
    const sandboxes: Sandbox[] = [];
    const services: DnsService[] = [];
    const log = new QuietLog();

    before(async () => {
      await build({
        stdin: {
          contents: `import { runSandboxHelper } from "./dns/io/sandbox-helper.ts";
          await runSandboxHelper();`,
          resolveDir: ROOT,
        },
        bundle: true,
        platform: "node",
        format: "esm",
        outfile: join(folder, "helper.mjs"),
      });
    });

    after(async () => {
      for (const service of services) await service.close({ restore: false });
      for (const sandbox of sandboxes) await sandbox.end();
      rmSync(folder, { recursive: true, force: true });
    });

    async function sandbox(name: string): Promise<Sandbox> {
      const made = new Sandbox(name);
      sandboxes.push(made);
      await made.resolver();
      return made;
    }

    function service(command: readonly string[] = helperCommand, timeoutMs = 5000): DnsService {
      const hook = new HelperSandboxHook({ helperCommand: command, log, timeoutMs });
      const random = new SeededRandom(7);
      const made = new DnsService({ clock, random, log, hook }, { domain: "tsweave.local" });
      made.changeRecords(
        [],
        [
          record("web", "10.32.0.2"),
          record("web", "10.40.0.2"),
          record("db", "10.32.0.3"),
          record("cache", "10.99.0.2", "back"),
        ],
      );
      made.setSubnets([{ network: "tsweave", cidr: "10.32.0.0/12" }]);
      services.push(made);
      return made;
    }

    const endpoint = (at: { key: string }, id = "e1", network = "tsweave", internal = false) => ({
      key: at.key,
      endpointId: `${at.key}-${id}`,
      network,
      links: ["linked"],
      internal,
    });

    test("answers our names and relays the rest, over UDP and TCP", async (t) => {
      const at = await sandbox("a");
      const dns = service();
      dns.changeRecords(
        [],
        [record("web", "10.32.0.2"), record("web", "10.40.0.2"), record("linked", "10.32.0.9")],
      );
      assert.deepEqual((await at.agent.ask("web")).answers, [FOREIGN_MARK]);
      const startMs = performance.now();
      await dns.attach(endpoint(at));
      t.diagnostic(`hook open: ${Math.round(performance.now() - startMs)} ms`);

      await at.agent.do("seen");
      for (const name of ["web", "WEB", "web.tsweave", "web.tsweave.local"]) {
        const reply = await at.agent.ask(name);
        assert.deepEqual(reply.answers.toSorted(), ["10.32.0.2", "10.40.0.2"], name);
        assert.equal(reply.ttl, 5);
      }
      assert.equal(
        (await at.agent.ask("2.0.32.10.in-addr.arpa", { type: "PTR" })).answers[0],
        "web.tsweave",
      );
      assert.equal(
        (await at.agent.ask("7.0.32.10.in-addr.arpa", { type: "PTR" })).rcode,
        "NXDOMAIN",
      );
      const aaaa = await at.agent.ask("web", { type: "AAAA" });
      assert.deepEqual([aaaa.rcode, aaaa.answers], ["NOERROR", []]);
      assert.deepEqual(await at.agent.do("seen"), [], "nothing of ours reaches Docker's resolver");

      for (const name of ["foreign.test", "linked", "cache"]) {
        const reply = await at.agent.ask(name);
        assert.deepEqual(
          [reply.answers, reply.ttl, reply.idMatches],
          [[FOREIGN_MARK], 600, true],
          name,
        );
      }
      assert.equal((await at.agent.ask("big.test")).truncated, true);
      assert.equal((await at.agent.ask("big.test", { udpBytes: 4096 })).answers.length, 120);

      const tcp = await at.agent.do<{ replies: (Answered & { name: string })[] }>("askTcp", {
        names: ["web", "big.test", "foreign.test"],
      });
      const byName = new Map(tcp.replies.map((reply) => [reply.name, reply]));
      assert.equal(byName.get("web")?.answers.length, 2);
      assert.equal(byName.get("big.test")?.answers.length, 120, "relayed with EDNS 4096");
      assert.equal(byName.get("big.test")?.hasOpt, false, "and without telling the client");
      assert.deepEqual(byName.get("foreign.test")?.answers, [FOREIGN_MARK]);
      assert.equal(await at.agent.do("garbage"), "closed");
    });

    test("the system's own client resolves", async () => {
      const at = await sandbox("b");
      await service().attach(endpoint(at));
      const look = async (name: string) => {
        const command = [`--net=${at.key}`, "busybox", "nslookup", "-type=a", name, "127.0.0.11"];
        return (await run("nsenter", command, { timeout: 4000 })).stdout;
      };
      assert.match(await look("web"), /Address[^\n]*10\.32\.0\.2/);
      assert.match(await look("foreign.test"), /Address[^\n]*192\.0\.2\.1/);
    });

    test("a silent resolver means SERVFAIL within a second on internal networks", async () => {
      const at = await sandbox("c");
      await service().attach(endpoint(at, "e1", "tsweave", true));
      const startMs = performance.now();
      assert.equal((await at.agent.ask("silent.test")).rcode, "SERVFAIL");
      assert.ok(performance.now() - startMs < 1500);
    });

    test("2000 forwarded at once are all answered, on internal networks soon", async (t) => {
      const at = await sandbox("c2");
      const dns = service();
      await dns.attach(endpoint(at));
      interface Flood {
        readonly rcodes: Readonly<Record<string, number>>;
        readonly ms: number;
      }
      const flood = { count: 2000, suffix: "foreign.test", timeoutMs: 8000 };
      const told = await at.agent.do<Flood>("flood", flood);
      t.diagnostic(`2000 answered in ${Math.round(told.ms)} ms`);
      assert.deepEqual(told.rcodes, { NOERROR: 2000 });
      await dns.attach(endpoint(at, "e1", "tsweave", true));
      const silent = { count: 1000, suffix: "silent.test", timeoutMs: 4000 };
      const failed = await at.agent.do<Flood>("flood", silent);
      assert.deepEqual(failed.rcodes, { SERVFAIL: 1000 });
      assert.ok(failed.ms < 2000, `all failed within ${failed.ms} ms`);
    });

    test("two networks in one sandbox share one hook that goes with the last", async () => {
      const at = await sandbox("d");
      const dns = service();
      await Promise.all([dns.attach(endpoint(at)), dns.attach(endpoint(at, "e2", "back"))]);
      assert.deepEqual((await at.agent.ask("cache")).answers, ["10.99.0.2"]);
      assert.equal(dns.status().sandboxes.length, 1);
      await dns.detach(endpoint(at).endpointId);
      assert.deepEqual((await at.agent.ask("cache")).answers, ["10.99.0.2"]);
      assert.deepEqual((await at.agent.ask("web")).answers, [FOREIGN_MARK], "no longer on tsweave");
      await dns.detach(endpoint(at, "e2").endpointId);
      assert.equal(at.hooked, false);
      assert.deepEqual((await at.agent.ask("cache")).answers, [FOREIGN_MARK]);
      assert.deepEqual(dns.status().sandboxes, []);
    });

    test("a killed daemon's hook is replaced, a clean stop restores Docker's", async () => {
      const at = await sandbox("e");
      const first = service();
      await first.attach(endpoint(at));
      await first.close({ restore: false });
      assert.equal((await at.agent.ask("web")).failed, "ECONNREFUSED", "the state a kill leaves");
      const second = service();
      await second.attach(endpoint(at));
      assert.equal((await at.agent.ask("web")).answers.length, 2);
      assert.equal(
        at.nft("list table ip tsweave_dns").split("dnat").length,
        3,
        "one pair of rules",
      );
      await second.close({ restore: true });
      assert.equal(at.hooked, false);
      assert.deepEqual((await at.agent.ask("web")).answers, [FOREIGN_MARK]);

      const third = service();
      await third.attach(endpoint(at));
      await third.close({ restore: false });
      await restoreSandbox(at.key);
      assert.deepEqual((await at.agent.ask("web")).answers, [FOREIGN_MARK]);
      await restoreSandbox(at.key);
    });

    test("a client that keeps its socket is answered by the next life, too", async () => {
      const at = await sandbox("s");
      const ask = () => at.agent.do<Answered>("askKept", { name: "web", timeoutMs: 300 });
      const first = service();
      await first.attach(endpoint(at));
      assert.equal((await ask()).answers.length, 2);
      await first.close({ restore: false });
      assert.equal((await ask()).failed, "timeout");
      const second = service();
      await second.attach(endpoint(at));
      assert.equal((await ask()).answers?.length, 2, "the busy flow still leads to its port");
      await second.refresh();
      assert.equal((await at.agent.ask("web")).answers.length, 2, "a taken port is no failure");
    });

    test("no query is lost while a hook is opened", async () => {
      const at = await sandbox("f");
      const dns = service();
      let asking = true;
      const storm = (async () => {
        const results: Answered[] = [];
        while (asking) results.push(await at.agent.ask("web"));
        return results;
      })();
      await dns.attach(endpoint(at));
      for (let round = 0; round < 5; round += 1) await dns.refresh();
      asking = false;
      const results = await storm;
      assert.ok(results.length > 5);
      const lost = results.filter((result) => result.failed !== undefined);
      assert.deepEqual(lost, []);
      assert.equal((await at.agent.ask("web")).answers.length, 2);
    });

    test("an engine whose resolver moved is found again", async () => {
      const at = await sandbox("g");
      const dns = service();
      await dns.attach(endpoint(at));
      assert.deepEqual((await at.agent.ask("foreign.test")).answers, [FOREIGN_MARK]);
      await at.resolver();
      const stale = await at.agent.ask("foreign.test", { timeoutMs: 200 });
      assert.equal(stale.failed, "timeout", "the kernel keeps the busy flow on the old port");
      await dns.refresh();
      assert.deepEqual((await at.agent.ask("foreign.test")).answers, [FOREIGN_MARK]);
    });

    test("a detached or dead sandbox is not kept alive", async () => {
      const outer = new Sandbox("x");
      sandboxes.push(outer);
      for (const detach of [true, false]) {
        const at = new Sandbox("h");
        await at.resolver();
        const dns = service();
        await dns.attach(endpoint(at));
        const pair = ["veth", "peer", "name", "canary", "netns", outer.name];
        execFileSync("ip", ["-n", at.name, "link", "add", "canary", "type", ...pair]);
        const alive = () =>
          execFileSync("ip", ["-n", outer.name, "-br", "link"]).toString().includes("canary");
        if (detach) await dns.detach(endpoint(at).endpointId);
        await at.end();
        assert.equal(await becomes(alive, false), detach, "our sockets hold it until detach");
        if (!detach) await dns.detach(endpoint(at).endpointId);
        assert.equal(await becomes(alive, false), true);
      }
    });

    test("errors are typed and leave the sandbox on Docker's resolver", async () => {
      const at = await sandbox("i");
      const gone = service();
      const nowhere = { ...endpoint(at), key: `/var/run/netns/${TAG}none` };
      await assert.rejects(gone.attach(nowhere), { code: "NOT_FOUND" });
      assert.deepEqual(gone.status().sandboxes, []);

      const mute = service([process.execPath, "-e", "setTimeout(() => {}, 60000)"], 300);
      await assert.rejects(mute.attach(endpoint(at)), { code: "TIMED_OUT" });
      const broken = service([process.execPath, "-e", "console.error('boom'); process.exit(3)"]);
      await assert.rejects(broken.attach(endpoint(at)), /COMMAND_FAILED|helper ended with 3: boom/);
      const problem = broken.status().sandboxes[0];
      assert.deepEqual([problem?.state, problem?.problem?.code], ["failed", "COMMAND_FAILED"]);

      const hide = 'mount -t tmpfs none /usr/sbin && exec "$0" "$@"';
      const toolless = service(["unshare", "--mount", "sh", "-c", hide, ...helperCommand]);
      await assert.rejects(toolless.attach(endpoint(at)), { code: "TOOL_MISSING" });

      mkdirSync(join(folder, "bin"));
      const refusal =
        "#!/bin/sh\necho 'Could not process rule: Operation not supported' >&2; exit 1\n";
      writeFileSync(join(folder, "bin/nft"), refusal, { mode: 0o755 });
      const path = `PATH=${folder}/bin:${process.env.PATH}`;
      const poor = service(["env", path, ...helperCommand]);
      await assert.rejects(poor.attach(endpoint(at)), { code: "KERNEL_LACKS" });

      assert.deepEqual((await at.agent.ask("web")).answers, [FOREIGN_MARK]);
      assert.equal(at.hooked, false);
    });

    test("waits for a sandbox to appear", async () => {
      const name = `${TAG}late`;
      const key = `/var/run/netns/${name}`;
      await assert.rejects(waitForSandbox(key, 60, clock), { code: "TIMED_OUT" });
      const waiting = waitForSandbox(key, 2000, clock).then(() => performance.now());
      execFileSync("ip", ["netns", "add", name]);
      try {
        const madeMs = performance.now();
        assert.ok((await waiting) - madeMs < 500);
      } finally {
        execFileSync("ip", ["netns", "del", name]);
      }
    });
  });

/** Whether `read` gives `wanted` within half a second: the kernel takes namespaces down later. */
async function becomes(read: () => boolean, wanted: boolean): Promise<boolean> {
  for (let attempt = 0; attempt < 25; attempt += 1) {
    if (read() === wanted) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}
