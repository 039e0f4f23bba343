/** The mesh and the tables against the kernel, as the running daemon and its peers tell. */

import { VERSION } from "../version.ts";
import { type Finding, findings } from "./finding.ts";
import type { Daemon, Host } from "./host.ts";

/** VXLAN with IPv4 below, and with IPv6. */
const OVERHEAD_BYTES = { 4: 50, 6: 70 } as const;
/** Logs and events are compared across hosts by their times. */
const CLOCK_MS_MAX = 2000;

/** The daemon's own health, line by line. */
export function checkHealth({ daemon }: Host): Finding[] {
  if (daemon === undefined) {
    return [findings("daemon").warn("no daemon runs", "tsweave launch PEER...")];
  }
  const { version, pid, health, kernel } = daemon.status;
  const { ok, warn, fail } = findings("health");
  const found = [findings("daemon").ok(`tsweave ${version}, process ${pid}`)];
  if (version !== VERSION) {
    const next = "tsweave stop, then tsweave launch: containers keep their network";
    found.push(findings("daemon").warn(`this command is ${VERSION}, the daemon ${version}`, next));
  }
  const problems = health.problems.map(({ code, text, next }) =>
    fail(`${code}: ${text}`, next ?? "tsweave status"),
  );
  found.push(...(problems.length > 0 ? problems : [ok("no problem in 'tsweave status'")]));
  const drift = findings("drift");
  if (kernel.inSync) found.push(drift.ok("the kernel is as the tables say"));
  else found.push(drift.fail(`the kernel differs in ${kernel.drift} steps`, "tsweave events"));
  if (kernel.lastReconcileAgeSeconds !== null && kernel.lastReconcileAgeSeconds > 120) {
    const text = `the kernel was not compared for ${kernel.lastReconcileAgeSeconds} s`;
    found.push(warn(text, "tsweave logs --level warn"));
  }
  return found;
}

/** Ports, versions, MTU and clocks of the peers against this host's. */
export function checkPeers({ daemon }: Host): Finding[] {
  if (daemon === undefined) return [];
  return [...portFindings(daemon), ...mtuFindings(daemon), ...clockFindings(daemon)];
}

function portFindings({ answers, host }: Daemon): Finding[] {
  const { ok, warn, fail } = findings("peers");
  const found: Finding[] = [];
  for (const { peer, error, vxlanPort, version } of answers) {
    if (error !== null) {
      found.push(warn(`${peer} does not answer: ${error}`, `tsweave ping ${peer}`));
      continue;
    }
    if (vxlanPort !== host.config.vxlanPort) {
      const text = `${peer} has --vxlan-port ${vxlanPort}, this host ${host.config.vxlanPort}`;
      found.push(fail(text, "launch all hosts with the same: no container traffic passes"));
    }
    if (version !== VERSION) {
      const next = "nothing during an upgrade; in the end all hosts should have one version";
      found.push(warn(`${peer} runs tsweave ${version}`, next));
    }
  }
  const well = answers.filter(({ error }) => error === null).length;
  if (found.length === 0) found.push(ok(`${well} answer, with the same version and VXLAN port`));
  return found;
}

function mtuFindings({ answers, host, networks }: Daemon): Finding[] {
  const { underlayMtuBytes: own } = host;
  const { ok, warn, fail } = findings("mtu");
  const overhead = OVERHEAD_BYTES[host.address.includes(":") ? 6 : 4];
  const found: Finding[] = [];
  for (const { name, mtu } of networks) {
    if (mtu + overhead <= own) continue;
    const text = `network ${name} has MTU ${mtu}, too much for an underlay of ${own}`;
    found.push(fail(text, `it follows, unless --mtu is given: then ${own - overhead} or less`));
  }
  const most = Math.max(0, ...networks.map(({ mtu }) => mtu)) + overhead;
  for (const { peer, underlayMtuBytes } of answers) {
    if (underlayMtuBytes === null || underlayMtuBytes >= Math.min(own, most)) continue;
    const text = `${peer}'s underlay has MTU ${underlayMtuBytes}, networks need ${most}`;
    const next = "tsweave status networks: the MTU follows within seconds, unless --mtu is given";
    found.push(warn(text, next));
  }
  const sizes = networks.map(({ name, mtu, mtuReason }) => `${name} ${mtu} (${mtuReason})`);
  return found.length > 0 ? found : [ok([`underlay ${own}`, ...sizes.slice(0, 8)].join(", "))];
}

function clockFindings({ answers }: Daemon): Finding[] {
  const { ok, warn } = findings("clock");
  const off = answers.filter(({ clockAheadMs }) => Math.abs(clockAheadMs ?? 0) > CLOCK_MS_MAX);
  if (off.length === 0) return [ok("no peer's clock differs by more than 2 s")];
  return off.map(({ peer, clockAheadMs }) => {
    const seconds = ((clockAheadMs ?? 0) / 1000).toFixed(1);
    const next = "run NTP on all hosts; only the times in logs and events depend on it";
    return warn(`${peer}'s clock is ahead of this host's by ${seconds} s`, next);
  });
}
