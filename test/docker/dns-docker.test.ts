/**
 * What Docker's own resolver does in a container, it does with tsweave in front of it: links,
 * `--dns`, `--dns-search`, `--add-host`, other networks, the outside, internal networks, garbage;
 * on the machine's engine and on Debian's newest.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { gatewayAddress, OUTSIDE_ADDRESS, OUTSIDE_NAME } from "../lab/gateway.ts";
import { newerEngine } from "../lab/newer-engine.ts";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";
import { NameAskers, type Question } from "../lib/name-askers.ts";

const newer = await newerEngine("sid");
const HOSTS = "engineDir" in newer ? ["own1", "new1"] : ["own1", "own2"];
const other = (host: string) => HOSTS.find((one) => one !== host) ?? "";
/** Documentation addresses (RFC 5737): nobody answers there. */
const NOBODY = "203.0.113.9";

let mesh: MeshHosts;
let askers: NameAskers;
const ips = new Map<string, string>();
const far = (host: string) => ips.get(`web-${other(host)}`) ?? "";

/** Starts a container with these flags and asks from within. */
async function asking(host: string, flags: readonly string[], ...questions: Question[]) {
  await mesh.exec(host, ["docker", "rm", "-f", `asker-${host}`]);
  await askers.start(host, ...flags);
  return await askers.lines(host, ...questions);
}

/** Runs a shell script as a container of its own. */
async function script(host: string, flags: readonly string[], text: string): Promise<string> {
  const net = flags.includes("--net") ? [] : ["--net", "tsweave"];
  return await mesh.docker(host, "run", "--rm", ...net, ...flags, "busybox", "sh", "-c", text);
}

describe("what Docker's resolver does", () => {
  before(async () => {
    const engineDirs = "engineDir" in newer ? { new1: newer.engineDir } : {};
    mesh = await MeshHosts.hostsOnly("dnsd", { hosts: HOSTS, engineDirs });
    await Promise.all(HOSTS.map((host) => mesh.launch(host, mesh.addresses(host))));
    askers = new NameAskers(mesh);
    for (const host of HOSTS) {
      await mesh.docker(host, "network", "create", "aside");
      ips.set(`web-${host}`, await mesh.web(host, `web-${host}`, "--network-alias", "both"));
    }
  });
  after(async () => {
    await mesh?.lab.down();
  });

  for (const host of HOSTS) {
    describe(host, () => {
      it("--link names what it links, ahead of another host's container of that name", async () => {
        const linked = await mesh.web(host, `linked-${host}`);
        const name = `web-${other(host)}`;
        const flags = ["--link", `linked-${host}:${name}`, "--link", `linked-${host}:db`];
        const found = await asking(host, flags, { name: "db" }, { name }, { name: "both" });
        const both = ["NOERROR", ...HOSTS.map((one) => ips.get(`web-${one}`)).sort()].join(" ");
        assert.deepEqual(found, [`NOERROR ${linked}`, `NOERROR ${linked}`, both]);
        await mesh.docker(host, "restart", "-t", "0", `linked-${host}`);
        const again = await mesh.ip(host, `linked-${host}`);
        assert.deepEqual(await askers.lines(host, { name: "db" }), [`NOERROR ${again}`]);
        await mesh.docker(host, "rm", "-f", `linked-${host}`);
      });

      it("--dns: our names at once, whoever answers the others", async () => {
        const remote = { name: `web-${other(host)}` };
        const outside = { name: OUTSIDE_NAME };
        const server = gatewayAddress(mesh.address(host).replace(/\.\d+$/, ""));
        const good = await asking(host, ["--dns", server], remote, outside);
        assert.deepEqual(good, [`NOERROR ${far(host)}`, `NOERROR ${OUTSIDE_ADDRESS}`]);
        await asking(host, ["--dns", NOBODY]);
        const [ours, both] = await askers.ask(host, remote, { name: "both" });
        assert.deepEqual(ours?.answers, [far(host)]);
        assert.ok((ours?.tookMs ?? 1e9) < 1000 && both?.answers.length === 2);
      });

      it("--dns-search and --dns-opt ndots complete names as the client does", async () => {
        const search = ["--dns-search", "tsweave.local", "--dns-opt", "ndots:2"];
        const get = `wget -qO- http://web-${other(host)}/`;
        assert.equal(await script(host, search, get), `web-${other(host)}`);
        const sub = ["--network-alias", `deep.sub-${host}`];
        await mesh.web(other(host), `deep-${host}`, ...sub);
        const within = ["--dns-search", `sub-${host}.tsweave.local`];
        await eventually("the alias is there", 2000, async () => {
          assert.equal(await script(host, within, "wget -qO- http://deep/"), `deep-${host}`);
        });
        await mesh.docker(other(host), "rm", "-f", `deep-${host}`);
      });

      it("--add-host stays, and counts before any resolver", async () => {
        const flags = ["--add-host", `printer:${ips.get(`web-${host}`)}`];
        const text = "grep printer /etc/hosts; wget -qO- http://printer/";
        const [line, page] = (await script(host, flags, text)).split("\n");
        assert.match(line ?? "", /\sprinter$/);
        assert.equal(page, `web-${host}`);
      });

      it("names of a plain network beside ours, and only while connected", async () => {
        await mesh.web(host, `plain-${host}`, "--net", "aside");
        const plain = { name: `plain-${host}` };
        const remote = { name: `web-${other(host)}` };
        assert.deepEqual(await asking(host, [], plain), ["NXDOMAIN"]);
        await mesh.docker(host, "network", "connect", "aside", `asker-${host}`);
        const ip = await mesh.ip(host, `plain-${host}`);
        const both = await askers.lines(host, plain, remote);
        assert.deepEqual(both, [`NOERROR ${ip}`, `NOERROR ${far(host)}`]);
        await mesh.docker(host, "network", "disconnect", "tsweave", `asker-${host}`);
        const after = await askers.lines(host, plain, remote);
        assert.deepEqual(after, [`NOERROR ${ip}`, "NXDOMAIN"], "Docker's alone again");
        await mesh.docker(host, "rm", "-f", `plain-${host}`);
      });

      it("the outside: MX, PTR, over UDP and TCP, and what does not exist", async () => {
        const reverse = `${OUTSIDE_ADDRESS.split(".").reverse().join(".")}.in-addr.arpa`;
        const questions = [
          { name: OUTSIDE_NAME, type: "MX" },
          { name: reverse, type: "PTR" },
          { name: `www.${OUTSIDE_NAME}` },
          { name: "no.such.example" },
          { name: `web-${other(host)}.${OUTSIDE_NAME}x` },
        ];
        const wanted = [
          `NOERROR 10 ${OUTSIDE_NAME}`,
          `NOERROR ${OUTSIDE_NAME}`,
          `NOERROR ${OUTSIDE_ADDRESS}`,
          "NXDOMAIN",
          "NXDOMAIN",
        ];
        assert.deepEqual(await asking(host, [], ...questions), wanted);
        const overTcp = questions.map((question) => ({ ...question, tcp: true }));
        assert.deepEqual(await askers.lines(host, ...overTcp), wanted);
      });

      it("a container that nobody named answers to its short id, elsewhere too", async () => {
        const run = ["run", "-d", "--net", "tsweave", "--stop-timeout", "1"];
        const id = await mesh.docker(host, ...run, "busybox", "sleep", "1000");
        const ip = await mesh.ip(host, id);
        await asking(other(host), []);
        await eventually("its short id", 1000, async () => {
          const found = await askers.lines(other(host), { name: id.slice(0, 12) });
          assert.deepEqual(found, [`NOERROR ${ip}`]);
        });
        await mesh.docker(host, "rm", "-f", id);
      });

      it("garbage harms nobody", async () => {
        await asking(host, []);
        const noise = "head -c 300 /dev/urandom | timeout 1 nc";
        const text = `${noise} -u -w 1 127.0.0.11 53; ${noise} -w 1 127.0.0.11 53; true`;
        await mesh.inside(host, `asker-${host}`, "sh", "-c", text);
        const remote = { name: `web-${other(host)}` };
        const found = await askers.lines(host, remote, { ...remote, tcp: true });
        assert.deepEqual(found, [`NOERROR ${far(host)}`, `NOERROR ${far(host)}`]);
      });

      it("a container that is connected before its start has its name from its start", async () => {
        const late = { name: `late-${host}` };
        await mesh.docker(host, "create", "--name", late.name, "busybox", "sleep", "1000");
        const alias = ["--alias", `tardy-${host}`];
        await mesh.docker(host, "network", "connect", ...alias, "tsweave", late.name);
        await asking(other(host), []);
        assert.deepEqual(await askers.lines(other(host), late), ["NXDOMAIN"]);
        await mesh.docker(host, "start", late.name);
        const ip = (await mesh.ip(host, late.name)).split(" ").find((one) => /^10\./.test(one));
        await eventually("both names", 1000, async () => {
          const found = await askers.lines(other(host), late, { name: `tardy-${host}` });
          assert.deepEqual(found, [`NOERROR ${ip}`, `NOERROR ${ip}`]);
        });
        await mesh.docker(host, "rm", "-f", late.name);
      });

      it("on an internal network what nobody can answer is SERVFAIL within a second", async () => {
        if (host === HOSTS[0]) {
          const create = ["network", "create", "quiet", "--internal", "--subnet", "10.97.0.0/16"];
          const made = await mesh.cli(host, ...create);
          assert.equal(made.code, 0, made.stderr);
        }
        await mesh.exec(host, ["docker", "rm", "-f", `asker-${host}`]);
        await askers.start(host, "--net", "quiet");
        const [udp, tcp, own] = await askers.ask(
          host,
          { name: OUTSIDE_NAME },
          { name: OUTSIDE_NAME, tcp: true },
          { name: `asker-${host}` },
        );
        for (const reply of [udp, tcp]) {
          assert.equal(reply?.rcode, "SERVFAIL");
          assert.ok((reply?.tookMs ?? 1e9) < 1500, `${reply?.tookMs} ms`);
        }
        assert.equal(own?.answers.length, 1);
      });
    });
  }
});
