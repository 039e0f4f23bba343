/** An encrypted mesh on real engines: the main job, a wrong password, the wire, a live rotation. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";

const HOSTS = ["s1", "s2", "s3"] as const;
const OLD = "the old password of the mesh";
const NEW = "the new password of the mesh";
const FILE = "/run/mesh-password";

interface StatusJson {
  readonly mesh: { readonly encrypted: boolean; readonly alive: number };
  readonly health: { readonly ok: boolean; readonly problems: readonly Problem[] };
}
interface Problem {
  readonly code: string;
  readonly text: string;
  readonly next: string;
}
interface KeysJson {
  readonly encrypted: boolean;
  readonly keys: readonly { readonly id: string; readonly sends: boolean }[];
  readonly refused: number;
}

let mesh: MeshHosts;

async function writePassword(host: string, word: string, path = FILE, mode = "600"): Promise<void> {
  const script = `printf '%s\\n' '${word}' > ${path}; chmod ${mode} ${path}`;
  await mesh.ok(host, ["sh", "-c", script]);
}

async function launch(host: string, peers: readonly string[], word = OLD): Promise<void> {
  await writePassword(host, word);
  await mesh.launch(host, peers, "--password-file", FILE);
}

const status = async (host: string): Promise<StatusJson> =>
  await mesh.json<StatusJson>(host, "status");
const keys = async (host: string, ...args: string[]): Promise<KeysJson> =>
  await mesh.json<KeysJson>(host, "keys", ...args);

async function problem(host: string, code: string, where: string): Promise<Problem> {
  return await eventually(`${code} on ${host}`, 8000, async () => {
    const { problems } = (await status(host)).health;
    const found = problems.find((known) => known.code === code && known.text.includes(where));
    assert.ok(found, JSON.stringify(problems));
    return found;
  });
}

describe("a mesh with a password", () => {
  before(async () => {
    mesh = await MeshHosts.hostsOnly("sealed", { hosts: HOSTS });
    await Promise.all(HOSTS.map((host) => launch(host, mesh.addresses(host))));
    await Promise.all(HOSTS.map((host) => mesh.web(host, `web-${host}`)));
  });
  after(async () => {
    await mesh?.lab.down();
  });

  it("does the main job, and says that it is encrypted", async () => {
    for (const from of HOSTS) {
      for (const to of HOSTS) {
        const page = await mesh.inside(from, `web-${from}`, "wget", "-qO-", `http://web-${to}/`);
        assert.equal(page, `web-${to}`);
      }
      const { mesh: seen, health } = await status(from);
      assert.deepEqual([seen.encrypted, seen.alive, health.ok], [true, 3, true]);
      assert.match((await mesh.cli(from, "status")).stdout, /\bencrypted$/m);
    }
  });

  it("keeps the password off every command line, environment, log and status", async () => {
    const pid = await mesh.daemonPid("s1");
    const seen = [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`, "/var/lib/tsweave/tsweave.log"];
    for (const path of seen) {
      assert.doesNotMatch(await mesh.ok("s1", ["cat", path]), /password of the mesh/);
    }
    assert.doesNotMatch(JSON.stringify(await status("s1")), /password of/);
    const mode = await mesh.ok("s1", ["stat", "-c", "%a", "/var/lib/tsweave/keyring.snapshot"]);
    assert.equal(mode.trim(), "600");
  });

  it("refuses a password file that others can read", async () => {
    await writePassword("s1", OLD, "/run/open-password", "644");
    const open = await mesh.cli("s1", "launch", "--password-file", "/run/open-password");
    assert.equal(open.code, 2);
    assert.match(open.stderr, /mode 0644.*chmod 600/);
  });

  it("shows no name on the wire", async () => {
    const dump = ["timeout", "4", "tcpdump", "-nn", "-l", "-A", "-s0", "-i", "eth0", "port 6783"];
    const captured = mesh.exec("s2", dump);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await mesh.web("s1", "wireword");
    await mesh.inside("s2", "web-s2", "wget", "-qO-", "http://wireword/");
    const { stdout } = await captured;
    assert.ok((stdout.match(/6783/g)?.length ?? 0) > 10, "there was traffic to look at");
    assert.doesNotMatch(stdout, /wireword|web-s1|endpoints|host/);
    await mesh.docker("s1", "rm", "-f", "wireword");
  });

  it("tells a host with a wrong password nothing, and both sides why", async () => {
    await mesh.lab.addHost("s4");
    await launch("s4", [mesh.address("s1")], "not the password of it");
    const there = await problem("s4", "WRONG_KEY", mesh.address("s1"));
    assert.match(there.next, /--password-file/);
    await problem("s1", "WRONG_KEY", mesh.address("s4"));
    const { peers } = await mesh.json<{ peers: unknown[] }>("s4", "status", "peers");
    assert.equal(peers.length, 1);
    assert.deepEqual(await mesh.endpoints("s4"), []);
    assert.equal((await status("s1")).mesh.alive, 3);
    assert.match(
      await mesh.ok("s1", ["cat", "/var/lib/tsweave/tsweave.log"]),
      new RegExp(`"${mesh.address("s4")}".*another password`),
    );
    await mesh.ok("s4", [process.execPath, "dist/tsweave.js", "stop"].map(absolute));
  });

  it("tells a host without a password likewise", async () => {
    const bare = await mesh.cli("s4", "launch", mesh.address("s1"));
    assert.equal(bare.code, 2, "a peer that was encrypted is not launched plain in silence");
    assert.match(bare.stderr, /--password-file/);
    await mesh.ok("s4", ["rm", "/var/lib/tsweave/keyring.snapshot"]);
    await mesh.launch("s4", [mesh.address("s1")]);
    await problem("s4", "PEER_ENCRYPTED", mesh.address("s1"));
    await problem("s1", "PEER_PLAIN", mesh.address("s4"));
    assert.match((await mesh.cli("s4", "status")).stdout, /not encrypted/);
    assert.equal((await mesh.cli("s4", "stop")).code, 0);
  });

  it("rotates its password while it runs", async () => {
    const refused = await Promise.all(HOSTS.map(async (host) => (await keys(host)).refused));
    const [before] = (await keys("s1")).keys;
    for (const host of HOSTS) {
      await writePassword(host, NEW);
      await keys(host, "add", "--password-file", FILE);
    }
    const added = (await keys("s1")).keys.find(({ id }) => id !== before?.id)?.id ?? "";
    const talk = async (round: string): Promise<void> => {
      await mesh.web("s3", round);
      assert.equal(await mesh.inside("s1", "web-s1", "wget", "-qO-", `http://${round}/`), round);
      await mesh.docker("s3", "rm", "-f", round);
    };
    for (const host of HOSTS) {
      await keys(host, "use", added.slice(0, 5));
      await talk(`use-${host}`);
    }
    for (const host of HOSTS) {
      await eventually(`the old key is unused at ${host}`, 10_000, async () => {
        const { code, stderr } = await mesh.cli(host, "keys", "remove", before?.id ?? "");
        assert.equal(code, 0, stderr);
      });
      await talk(`removed-${host}`);
    }
    for (const [at, host] of HOSTS.entries()) {
      const { keys: left, refused: now } = await keys(host);
      assert.deepEqual(
        left.map(({ id, sends }) => [id, sends]),
        [[added, true]],
      );
      assert.equal(now, refused[at], `${host} refused a packet during the rotation`);
      assert.equal((await status(host)).mesh.alive, 3);
    }
  });

  it("comes back with the new password, and is told of an outdated one", async () => {
    assert.equal((await mesh.cli("s3", "stop")).code, 0);
    await launch("s3", mesh.addresses("s3"), NEW);
    assert.equal((await status("s3")).mesh.alive, 3);
    assert.equal((await mesh.cli("s3", "stop")).code, 0);
    await launch("s3", mesh.addresses("s3"), OLD);
    const { mesh: seen, health } = await status("s3");
    assert.equal(seen.alive, 3);
    assert.deepEqual(
      health.problems.map(({ code }) => code),
      ["PASSWORD_OUTDATED"],
    );
  });

  it("takes the password from the environment without leaving it there", async () => {
    assert.equal((await mesh.cli("s3", "stop")).code, 0);
    const command = `TSWEAVE_PASSWORD='${NEW}' exec "$0" "$@"`;
    const argv = [process.execPath, "dist/tsweave.js", "launch"].map(absolute);
    await mesh.ok("s3", ["sh", "-c", command, ...argv, mesh.address("s1")], 60_000);
    assert.equal((await status("s3")).mesh.alive, 3);
    const pid = await mesh.daemonPid("s3");
    assert.doesNotMatch(await mesh.ok("s3", ["cat", `/proc/${pid}/environ`]), /new password/);
  });
});

function absolute(word: string): string {
  return word.startsWith("dist/") ? `${process.cwd()}/${word}` : word;
}
