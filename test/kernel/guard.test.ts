/** A container that makes VXLAN packets itself, against its own host and against another one. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { macOf } from "../../overlay/address.ts";
import { run } from "../../overlay/io/exec.ts";
import { HostGuard } from "../../overlay/io/host-guard.ts";
import { ipv4Packet, vxlanFrame } from "../lib/frames.ts";
import { type NetnsHost, NetnsLab, sh } from "../lib/netns-hosts.ts";
import { QuietLog } from "../lib/quiet-log.ts";

const TAG = `g${(process.pid % 0xffff).toString(16)}`;
const lab = new NetnsLab(TAG);
const VICTIM = "10.32.0.5";
const FRAMES = 20;
let evil = "";
const victims: string[] = [];

before(async () => {
  await lab.open(2);
  for (const [at, host] of lab.hosts.entries()) {
    host.reconciler.start();
    await host.reconciler.flush();
    const container = await lab.container(`v${at}`);
    victims.push(container);
    const id = String(at).repeat(64);
    const endpoint = { id, network: "tsweave", ip: VICTIM, mac: macOf(VICTIM) };
    await lab.attach(host, endpoint, container);
  }
  const [{ netns }] = hosts();
  evil = await lab.container("evil");
  await sh(`ip -n ${netns} link add docker_gwbridge type bridge`);
  await sh(`ip -n ${netns} addr add 172.31.77.1/24 dev docker_gwbridge`);
  await sh(`ip -n ${netns} link set docker_gwbridge up`);
  const peer = `peer name eth1 netns ${evil}`;
  await sh(`ip -n ${netns} link add gw0 master docker_gwbridge up type veth ${peer}`);
  await sh(`ip -n ${evil} addr add 172.31.77.2/24 dev eth1`);
  await sh(`ip -n ${evil} link set eth1 up`);
  await sh(`ip -n ${evil} route add default via 172.31.77.1`);
  await inside(netns, ["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
  const chain = "type nat hook postrouting priority 100 ;";
  const nat = `add table ip x; add chain ip x n { ${chain} }; add rule ip x n masquerade`;
  await inside(netns, ["nft", nat]);
});

after(() => lab.close());

function hosts(): [NetnsHost, NetnsHost] {
  const [first, second] = lab.hosts;
  assert.ok(first && second);
  return [first, second];
}

async function inside(netns: string, argv: readonly string[]): Promise<string> {
  return (await run(["nsenter", `--net=/run/netns/${netns}`, ...argv])).stdout;
}

/** Whether frames sent from a namespace to this host's VXLAN port reach its container. */
async function injected(host: NetnsHost, from = evil): Promise<boolean> {
  const received = async (): Promise<number> => {
    const text = await sh(`ip -n ${victims[lab.hosts.indexOf(host)]} -s -j link show eth0`);
    const [link] = JSON.parse(text) as { stats64: { rx: { packets: number } } }[];
    return link?.stats64.rx.packets ?? 0;
  };
  const inner = ipv4Packet({ from: "10.44.0.66", to: VICTIM, payload: Buffer.from("evil") });
  const frame = vxlanFrame({ vni: 256, to: macOf(VICTIM), from: "02:42:0a:2c:00:42", inner });
  const beforehand = await received();
  const script = `
    const socket = require("dgram").createSocket("udp4");
    const frame = Buffer.from("${frame.toString("hex")}", "hex");
    let left = ${FRAMES};
    const timer = setInterval(() => {
      socket.send(frame, 4789, "${host.vtep}");
      left -= 1;
      if (left === 0) clearInterval(timer), socket.close();
    }, 5);`;
  await inside(from, [process.execPath, "-e", script]);
  await sleep(300);
  return (await received()) - beforehand >= FRAMES / 2;
}

test("without the guard a container's own VXLAN packets reach containers everywhere", async () => {
  for (const host of hosts()) assert.equal(await injected(host), true, host.vtep);
});

test("with it they end at its own host, and the overlay goes on", async () => {
  const [h1, h2] = hosts();
  const ports = { vxlan: 4789, gossip: 6783 };
  const guard = new HostGuard(ports, new QuietLog(), ["nsenter", `--net=/run/netns/${h1.netns}`]);
  await guard.ensure();
  await guard.ensure();
  for (const host of [h1, h2]) assert.equal(await injected(host), false, host.vtep);

  await inside(h1.netns, ["nft", "flush", "table", "inet", "tsweave_guard"]);
  assert.equal(await injected(h2), true, "flushed");
  await guard.ensure();
  assert.equal(await injected(h2), false, "mended");

  assert.equal(await injected(h1, h2.netns), true, "between the hosts all passes");
});
