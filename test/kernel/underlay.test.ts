/**
 * Real daemons whose underlay changes while they run: its MTU, lowered and raised, on one host or
 * all, with containers that go on talking.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { run } from "../../overlay/io/exec.ts";
import { eventually } from "../lib/mesh-hosts.ts";
import { type NetnsDaemon, NetnsDaemons } from "../lib/netns-daemons.ts";
import { exitCode, type NetnsHost, NetnsLab, sh } from "../lib/netns-hosts.ts";
import { type AttachedContainer, foundedMesh } from "../lib/netns-mesh.ts";

const TAG = `u${(process.pid % 0xffff).toString(16)}`;
const lab = new NetnsLab(TAG);
const daemons = new NetnsDaemons();
const LAN = `tw${TAG}-lan`;
let all: NetnsDaemon[] = [];
let containers: AttachedContainer[] = [];

function hosts(): [NetnsHost, NetnsHost, NetnsHost] {
  const [a, b, c] = lab.hosts;
  assert.ok(a && b && c);
  return [a, b, c];
}

/** The underlay's link of one host, both its ends. */
async function setMtu(index: number, bytes: number): Promise<void> {
  const { netns } = hosts()[index - 1] as NetnsHost;
  await sh(`ip -n ${LAN} link set port${index} mtu ${bytes}`);
  await sh(`ip -n ${netns} link set eth0 mtu ${bytes}`);
}

before(async () => {
  await lab.open(3);
  await sh(`ip -n ${LAN} link set lan0 mtu 9000`);
  ({ all, containers } = await foundedMesh(lab, daemons));
});

after(async () => {
  containers = [];
  await daemons.close();
  await lab.close();
});

const linkMtu = async (netns: string, device: string): Promise<number> => {
  const [link] = JSON.parse(await sh(`ip -n ${netns} -j link show dev ${device}`));
  return link.mtu;
};

/** Whether the devices of all hosts and all containers have this MTU. */
async function settled(bytes: number, deadlineMs = 20_000): Promise<void> {
  await eventually(`MTU ${bytes}`, deadlineMs, async () => {
    for (const { client, name } of all) {
      const [{ namespace } = { namespace: "" }] = (await client.host()).namespaces;
      for (const device of ["br0", "vxlan0"]) {
        assert.equal(await linkMtu(namespace, device), bytes, `${device} of ${name}`);
      }
      const [network] = (await client.read("networks")).networks;
      assert.equal(network?.mtu, bytes);
    }
    for (const { netns } of containers) assert.equal(await linkMtu(netns, "eth0"), bytes);
  });
}

/** A packet of so many bytes that nobody may cut. */
async function passes(from: number, to: number, bytes: number): Promise<boolean> {
  const [one, other] = [containers[from - 1], containers[to - 1]];
  const [head, size] = [`nsenter --net=/run/netns/${one?.netns}`, bytes - 28];
  const script =
    "use Socket; socket(my $s, AF_INET, SOCK_DGRAM, 0); setsockopt($s, 0, 10, pack('i', 2));" +
    "connect($s, pack_sockaddr_in(7, inet_aton($ARGV[0])));" +
    "exit(send($s, 'x' x $ARGV[1], 0) ? 0 : 1)";
  const argv = [...head.split(" "), "perl", "-e", script, `${other?.ip}`, `${size}`];
  const { exitCode: sent } = await run(argv, { tolerant: true });
  if (sent !== 0) return false;
  return (await exitCode(`${head} busybox ping -c 1 -W 1 -s ${size} ${other?.ip}`)) === 0;
}

/** Small packets between the containers of h1 and h2 all the while; how many were lost. */
function pinging(): () => Promise<number> {
  const [one, other] = [containers[0], containers[1]];
  const argv = ["nsenter", `--net=/run/netns/${one?.netns}`, "busybox", "ping", "-i", "0.02"];
  let isOver = false;
  const rounds = (async (): Promise<number> => {
    let lost = 0;
    while (!isOver) {
      const line = [...argv, "-c", "50", "-W", "1", "-s", "1200", `${other?.ip}`];
      const { stdout } = await run(line, { tolerant: true });
      const [, sent, got] = /(\d+) packets transmitted, (\d+) packets received/.exec(stdout) ?? [];
      lost += Number(sent) - Number(got);
    }
    return lost;
  })();
  return async () => {
    isOver = true;
    return await rounds;
  };
}

test("the MTU of the networks is the least of all underlays, followed down and up", async () => {
  const [{ client }] = all as [NetnsDaemon];
  await settled(1450);
  assert.match(
    (await client.read("networks")).networks[0]?.mtuReason ?? "",
    /^eth0 of h. has 1500$/,
  );
  assert.ok(await passes(1, 2, 1450));
  const stop = pinging();
  const timings: Record<string, number> = {};
  const timed = async (what: string, change: () => Promise<void>, bytes: number) => {
    const startMs = performance.now();
    await change();
    await settled(bytes);
    timings[what] = Math.round(performance.now() - startMs);
  };
  await timed("one lowered", () => setMtu(3, 1400), 1350);
  assert.equal((await client.read("networks")).networks[0]?.mtuReason, "eth0 of h3 has 1400");
  for (const to of [2, 3]) {
    assert.ok(await passes(1, to, 1350));
    assert.ok(!(await passes(1, to, 1351)));
  }
  await timed("raised again", () => setMtu(3, 1500), 1450);
  const jumbo = async () => {
    for (const index of [1, 2, 3]) await setMtu(index, 9000);
  };
  await timed("all jumbo", jumbo, 8950);
  assert.ok(await passes(1, 2, 8950));
  const [h1] = hosts();
  // A route may say less than its device.
  const narrow = () => sh(`ip -n ${h1.netns} route add 192.0.2.2/32 dev eth0 mtu 3000`);
  await timed("a route", async () => void (await narrow()), 2950);
  assert.equal(
    (await client.read("networks")).networks[0]?.mtuReason,
    "route from h1 to h2 has 3000",
  );
  const late = await lab.container("late");
  await client.attach({ target: late, names: ["late"], dns: false });
  assert.equal(await linkMtu(late, "eth0"), 2950);
  await sh(`ip -n ${h1.netns} route del 192.0.2.2/32`);
  await settled(8950);
  assert.equal(await linkMtu(late, "eth0"), 8950);
  assert.equal(await stop(), 0, "packets that fit every MTU were lost");
  assert.deepEqual((await client.status()).health.problems, []);
  console.log(`# milliseconds until everything has the new MTU: ${JSON.stringify(timings)}`);
});

test("a host that goes for good limits nobody; one with --mtu limits all", async () => {
  const [h1, h2, h3] = all as [NetnsDaemon, NetnsDaemon, NetnsDaemon];
  assert.ok(h1 && h2);
  await setMtu(3, 1500);
  await settled(1450);
  const ended = new Promise((resolve) => h3.child.once("exit", resolve));
  h3.child.kill("SIGTERM");
  await ended;
  const again = daemons.start(
    hosts()[2],
    "h3",
    ["--mtu", "1300", "192.0.2.1", "192.0.2.2"],
    h3.home,
  );
  all = [h1, h2, again];
  await settled(1300, 60_000);
  assert.equal((await h1.client.read("networks")).networks[0]?.mtuReason, "--mtu on h3");
});
