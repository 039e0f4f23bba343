/**
 * tsweave run by Docker itself: as a managed plugin on one machine and as a container on another,
 * in one mesh, both built offline.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { buildDebianRoot, debianLacks } from "../../cli/packaging/debian-root.ts";
import { Lab } from "../lab/lab.ts";
import { Machine } from "../lab/machine.ts";
import { labPaths } from "../lab/record.ts";
import { addressOf, assertNoLoss, pinger, start } from "../lib/machine-containers.ts";
import { BUNDLE, eventually } from "../lib/mesh-hosts.ts";
import { ROOT } from "../lib/sources.ts";

/** Without tsweave and what it needs: all of that is in the plugin and the image. */
const PACKAGES = ["systemd", "systemd-sysv", "dbus", "docker.io", "iproute2"];
const skip = debianLacks([...PACKAGES, "nodejs", "nftables", "perl", "mount"]);
if (skip !== false) console.log(`# managed: ${skip}`);

describe("under Docker's own care", { skip, timeout: 300_000 }, () => {
  let lab: Lab;
  let work: string;
  let withPlugin: Machine;
  let withImage: Machine;

  before(async () => {
    work = mkdtempSync(join(tmpdir(), "tsweave-managed-"));
    lab = await Lab.up({ name: `mngd-${process.pid.toString(36)}`, hosts: [], engines: false });
    const root = join(labPaths(lab.name).dir, "root");
    buildDebianRoot(root, { packages: PACKAGES });
    withPlugin = new Machine(lab, "m1", 1, root);
    withImage = new Machine(lab, "m2", 2, root);
    const machines = [withPlugin, withImage];
    await Promise.all(machines.map((machine) => machine.boot()));
    await Promise.all(machines.map((machine) => machine.importImage()));
    for (const [kind, machine] of [
      ["plugin", withPlugin],
      ["image", withImage],
    ] as const) {
      const script = ["--import", "tsx", "cli/packaging/build-image.ts", kind, join(work, kind)];
      execFileSync(process.execPath, [...script, BUNDLE], { cwd: ROOT });
      machine.put(join(work, kind), `/root/${kind}`);
    }
  });

  after(async () => {
    await Promise.all([withPlugin, withImage].map((machine) => machine?.crash()));
    await lab?.down();
    rmSync(work, { recursive: true, force: true });
  });

  it("the plugin serves and makes the network", async () => {
    const dirs = ["/run/netns", "/run/docker/netns", "/run/tsweave", "/var/lib/tsweave"];
    await withPlugin.ok("mkdir", "-p", ...dirs);
    await withPlugin.ok("docker", "plugin", "create", "tsweave:latest", "/root/plugin");
    const peers = `TSWEAVE_PEERS=${withImage.address}`;
    await withPlugin.ok("docker", "plugin", "set", "tsweave:latest", peers);
    await withPlugin.ok("docker", "plugin", "enable", "tsweave:latest");
    await networkOn(withPlugin, "tsweave:latest");
  });

  it("the image is built without a registry and serves", async () => {
    await withImage.ok("docker", "build", "-q", "-t", "tsweave", "/root/image");
    await withImage.ok("mkdir", "-p", "/var/lib/tsweave");
    const caps = ["SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_PTRACE", "SYS_MODULE"];
    const rights = [
      ...caps.flatMap((cap) => ["--cap-add", cap]),
      ...["systempaths", "apparmor", "seccomp"].flatMap((what) => [
        ...["--security-opt", `${what}=unconfined`],
      ]),
    ];
    const run = ["run", "-d", "--name", "tsweave", "--restart", "unless-stopped", ...rights];
    const shared = ["--net", "host", "--pid", "host", "-v", "/run:/run:rshared"];
    const state = ["-v", "/var/lib/tsweave:/var/lib/tsweave", "tsweave"];
    const launch = ["launch", "--foreground", withPlugin.address];
    await withImage.ok("docker", ...run, ...shared, ...state, ...launch);
    const wait = ["wait", "--for", "ready,peers=2"];
    await withImage.ok("docker", "exec", "tsweave", "tsweave", ...wait);
    await networkOn(withImage, "tsweave");
  });

  it("containers of both reach one another by name", async () => {
    await start(withPlugin, "web1");
    await start(withImage, "web2");
    await withPlugin.ok("docker", "exec", "web1", "ping", "-c1", "-W2", "web2");
    await withImage.ok("docker", "exec", "web2", "ping", "-c1", "-W2", "web1");
    for (const machine of [withPlugin, withImage]) {
      assert.match(await machine.ok("ip", "netns", "list"), /^tsweave-[0-9a-f]{10}\b/m);
    }
  });

  it("a plugin disabled and a container restarted lose no packet", async () => {
    const ping = await withPlugin.spawn(pinger("web1", await addressOf(withImage, "web2")));
    await withPlugin.ok("docker", "plugin", "disable", "-f", "tsweave:latest");
    const lookup = await withPlugin.exec(["docker", "exec", "web1", "nslookup", "nowhere"], {
      allowFailure: true,
    });
    // Docker's own resolver answers meanwhile.
    assert.doesNotMatch(lookup.stdout + lookup.stderr, /refused/);
    await withPlugin.ok("docker", "plugin", "enable", "tsweave:latest");
    await withImage.ok("docker", "restart", "tsweave");
    await eventually("names again", 20_000, () =>
      withPlugin.ok("docker", "exec", "web1", "ping", "-c1", "-W2", "web2"),
    );
    await assertNoLoss(withPlugin, "web1", ping);
    await start(withPlugin, "web3");
    await eventually("a new container", 10_000, () =>
      withImage.ok("docker", "exec", "web2", "ping", "-c1", "-W2", "web3"),
    );
  });
});

async function networkOn(machine: Machine, driver: string): Promise<void> {
  await eventually(`network tsweave of ${driver}`, 30_000, async () => {
    const made = await machine.ok("docker", "network", "inspect", "-f", "{{.Driver}}", "tsweave");
    assert.equal(made, driver);
  });
}
