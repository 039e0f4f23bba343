/** What a person gets wrong at launch: one line with what to do, the exit code, nothing left. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { ExecResult } from "../lab/exec.ts";
import { MeshHosts } from "../lib/mesh-hosts.ts";

const HOST = "b1";
/** An `ip` whose kernel knows no vxlan. */
const IP_WITHOUT_VXLAN = `#!/bin/sh
case " $* " in
  *" -batch "*) exec_ip() { sed 's/type vxlan/type tsweave-none/' | /usr/sbin/ip "$@"; } ;;
  *) exec_ip() { /usr/sbin/ip "$@"; } ;;
esac
exec_ip "$@"
`;

let mesh: MeshHosts;

async function sh(script: string): Promise<ExecResult> {
  const bundle = `${process.execPath} ${process.cwd()}/dist/tsweave.js`;
  return await mesh.exec(HOST, ["sh", "-c", script.replaceAll("tsweave ", `${bundle} `)], 60_000);
}

/** Everything of tsweave on the host: namespaces, links, sockets, processes. */
async function traces(): Promise<string> {
  const script = [
    "ip netns list",
    "ip -o link | grep -oE '(tsw|vxlan)[^:@ ]*'",
    "ls /run/tsweave /run/docker/plugins 2>/dev/null | grep -v ^/",
    "grep -al tsweave[.]js /proc/[0-9]*/cmdline 2>/dev/null | grep -vE '/(self|thread-self)/'",
  ];
  return (await mesh.exec(HOST, ["sh", "-c", script.join("; ")])).stdout.trim();
}

async function refused(script: string, code: number, line: RegExp): Promise<void> {
  const before = await traces();
  const result = await sh(script);
  const stderr = result.stderr.trim();
  assert.equal(result.code, code, `${script}: exit ${result.code}: ${stderr}`);
  assert.match(stderr, line);
  // What takes over a second says how far it is, in lines that end so.
  const lines = stderr.split("\n").filter((one) => !one.endsWith(" ..."));
  assert.equal(lines.length, 1, `one line, not: ${stderr}`);
  assert.equal(result.stdout, "");
  assert.equal(await traces(), before, `${script} left something behind`);
}

describe("bad input at launch", () => {
  before(async () => {
    mesh = await MeshHosts.hostsOnly("bad", { hosts: [HOST] });
  });
  after(async () => {
    await mesh?.lab.down();
  });

  it("names an unknown flag", () =>
    refused("tsweave launch --ipalloc-rnage x", 2, /ipalloc-rnage/));

  it("names a bad CIDR", async () => {
    await refused("tsweave launch --ipalloc-range 10.32.0.0/99", 2, /10\.32\.0\.0\/99/);
    await refused("tsweave launch --ipalloc-range 10.32.0.5/12", 2, /10\.32\.0\.0\/12/);
  });

  it("refuses a subnet that overlaps a host route, naming it", async () => {
    const lan = mesh.address(HOST).replace(/\.\d+$/, ".0/24");
    await refused(`tsweave launch --ipalloc-range ${lan}`, 2, /overlaps.*--ipalloc-range/);
  });

  it("says which port is in use", async () => {
    const nc = "busybox nc -l -p 6783 & pid=$!; sleep 0.3; ";
    await refused(`${nc} tsweave launch; code=$?; kill $pid; exit $code`, 1, /6783.*--port/);
  });

  it("says that Docker does not run, and how to go on", async () => {
    await mesh.lab.host(HOST).stopEngine();
    try {
      await refused("tsweave launch", 1, /Docker.*--no-docker/);
    } finally {
      await mesh.lab.host(HOST).startEngine();
    }
  });

  it("says that it needs root", async () => {
    const as = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    await refused(`${as} tsweave launch`, 1, /root/);
  });

  it("says that the kernel has no vxlan", async () => {
    const heredoc = `d=$(mktemp -d); cat > $d/ip <<'EOS'\n${IP_WITHOUT_VXLAN}EOS\n`;
    const run = "chmod 755 $d/ip; PATH=$d:$PATH tsweave launch; code=$?; rm -r $d; exit $code";
    await refused(`${heredoc}${run}`, 1, /vxlan/);
  });

  it("says that nothing runs when asked for status or stop", async () => {
    await refused("tsweave status", 3, /tsweave launch/);
    await refused("tsweave stop", 3, /no tsweave daemon.*tsweave launch/);
  });

  it("refuses a second daemon on the same state directory", async () => {
    await mesh.launch(HOST, []);
    await refused("tsweave launch", 1, /tsweave status/);
    const other = "--run-dir /run/other --port 6799 --vxlan-port 4799 --plugin-dir /run/other";
    await refused(`tsweave launch ${other}`, 1, /state|uses/);
    const { code } = await mesh.cli(HOST, "stop");
    assert.equal(code, 0);
  });
});
