/**
 * What Prometheus can watch: the facts of the control API as metric families.
 *
 * Law: from memory only, as every read; no name of a container and no address becomes a label, so
 * that the number of series follows peers and networks, not containers.
 */
import type { Status } from "../control/api.ts";
import type { ReadBackend } from "../control/reads.ts";
import type { Family, Sample } from "./exposition.ts";
import type { ProcessStats } from "./process-stats.ts";

type Facts = Pick<ReadBackend, "status" | "connections" | "networks" | "ipam">;

/** All families, those without a sample now included. */
export function metricFamilies(facts: Facts, stats: ProcessStats): Family[] {
  const status = facts.status();
  return [
    gauge("tsweave_build_info", "Version of the daemon; always 1.", [
      { labels: { version: status.version, engine: status.mesh.engine }, value: 1 },
    ]),
    gauge("tsweave_uptime_seconds", "Since the daemon started.", one(status.uptimeSeconds)),
    gauge("tsweave_health_problems", "Problems that status names, by code.", problems(status)),
    ...meshFamilies(facts, status),
    ...addressFamilies(facts, status),
    ...dataFamilies(facts, status),
    gauge("process_resident_memory_bytes", "Resident memory of the daemon.", one(stats.rssBytes)),
    counter("process_cpu_seconds_total", "Processor time of the daemon.", one(stats.cpuSeconds)),
    gauge(
      "tsweave_event_loop_stall_seconds",
      "Longest time since the last reading in which the daemon answered nobody.",
      one(stats.stallSeconds),
    ),
  ];
}

function meshFamilies(facts: Facts, { mesh }: Status): Family[] {
  const states = ["alive", "suspect", "dead", "left"] as const;
  const links = facts.connections();
  return [
    gauge(
      "tsweave_peers",
      "Known peers by state, this one included.",
      states.map((state) => ({ labels: { state }, value: mesh[state] })),
    ),
    gauge("tsweave_mesh_encrypted", "1 when the mesh has a password.", one(Number(mesh.encrypted))),
    gauge("tsweave_targets_trying", "Addresses without an answer.", one(mesh.trying)),
    gauge(
      "tsweave_peer_up",
      "1 when the peer answers or is answered for.",
      links.map(({ peer, state }) => ({
        labels: { peer },
        value: Number(state === "established"),
      })),
    ),
    gauge(
      "tsweave_peer_direct",
      "1 when the peer answers this host itself, 0 when only others reach it.",
      known(links.map(({ peer, direct }) => [peer, direct === null ? null : Number(direct)])),
    ),
    counter(
      "tsweave_peer_bytes_total",
      "Bytes of the tunnels between this host and the peer, headers included.",
      links.flatMap(({ peer, traffic }) =>
        traffic === null
          ? []
          : [
              { labels: { peer, direction: "in" }, value: traffic.inBytes },
              { labels: { peer, direction: "out" }, value: traffic.outBytes },
            ],
      ),
    ),
    gauge(
      "tsweave_peer_rtt_seconds",
      "Smoothed round trip to the peer.",
      known(links.map(({ peer, rttMs }) => [peer, rttMs === null ? null : rttMs / 1000])),
    ),
  ];
}

function addressFamilies(facts: Facts, { ipam }: Status): Family[] {
  const { pools } = facts.ipam();
  const addresses = pools.flatMap(({ subnet, used, free, owned }) => {
    const total = owned.reduce((sum, part) => sum + part.addresses, 0);
    const lost = owned.filter(({ reachable }) => !reachable);
    const unreachable = lost.reduce((sum, part) => sum + part.addresses, 0);
    return Object.entries({ total, used, free, unreachable }).map(([kind, value]) => ({
      labels: { subnet, kind },
      value,
    }));
  });
  return [
    gauge("tsweave_ipam_founded", "1 when addresses can be given out.", one(Number(ipam.founded))),
    gauge("tsweave_ipam_addresses", "Addresses of each pool, by kind.", addresses),
    gauge(
      "tsweave_ipam_conflicts",
      "Addresses in use here that another peer owns by the records.",
      pools.map(({ subnet, conflicts }) => ({ labels: { subnet }, value: conflicts.length })),
    ),
  ];
}

function dataFamilies(facts: Facts, { dns, docker, kernel }: Status): Family[] {
  return [
    gauge("tsweave_endpoints", "Endpoints by network and place.", endpoints(facts)),
    gauge("tsweave_dns_names", "Names that are answered.", one(dns.names)),
    gauge("tsweave_dns_sandboxes", "Containers whose lookups come here.", one(dns.sandboxes)),
    gauge(
      "tsweave_docker_connected",
      "1 when Docker answers; no sample with --no-docker.",
      docker.enabled ? one(Number(docker.connected)) : [],
    ),
    gauge(
      "tsweave_kernel_in_sync",
      "1 when the kernel is as it should.",
      one(Number(kernel.inSync)),
    ),
    gauge(
      "tsweave_kernel_drift_steps",
      "Steps still needed after the last pass.",
      one(kernel.drift),
    ),
    gauge(
      "tsweave_kernel_pass_seconds",
      "How long the last full pass took.",
      kernel.lastReconcileMs === null ? [] : one(kernel.lastReconcileMs / 1000),
    ),
  ];
}

function problems({ health }: Status): Sample[] {
  const counts = new Map<string, number>();
  for (const { code } of health.problems) {
    counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  return [...counts].map(([code, value]) => ({ labels: { code }, value }));
}

/** Two networks of one name are one series. */
function endpoints(facts: Facts): Sample[] {
  const counts = new Map<string, { local: number; remote: number }>();
  for (const { name, endpoints: all, local } of facts.networks()) {
    const known = counts.get(name) ?? { local: 0, remote: 0 };
    counts.set(name, { local: known.local + local, remote: known.remote + all - local });
  }
  return [...counts].flatMap(([network, count]) =>
    (["local", "remote"] as const).map((place) => ({
      labels: { network, place },
      value: count[place],
    })),
  );
}

const one = (value: number): Sample[] => [{ value }];

/** A sample for each peer of which the value is known. */
function known(values: readonly (readonly [string, number | null])[]): Sample[] {
  return values.flatMap(([peer, value]) => (value === null ? [] : [{ labels: { peer }, value }]));
}

function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, type: "gauge", help, samples };
}

function counter(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, type: "counter", help, samples };
}
