/** What `tsweave wait` waits for, as questions about a status. Pure. */
import { TsweaveError } from "../mesh/index.ts";
import type { Status } from "./control/api.ts";
import { count } from "./render/human.ts";
import { suggest } from "./suggestion.ts";

/** What is still missing, in words; undefined once the condition holds. */
export type Condition = (status: Status) => string | undefined;

const NAMED = ["ready", "founded", "in-sync"] as const;
/** What `--for` takes, as completion offers it. */
export const CONDITIONS = [...NAMED, "peers="] as const;

const CHECKS: Readonly<Record<(typeof NAMED)[number], Condition>> = {
  ready,
  founded,
  "in-sync": inSync,
};

/** Conditions separated by commas; all must hold. @throws TsweaveError USAGE */
export function parseConditions(text: string): readonly Condition[] {
  return text.split(",").map((word) => {
    const named = NAMED.find((name) => name === word);
    if (named !== undefined) return CHECKS[named];
    const [, number] = /^peers=([1-9][0-9]{0,3})$/.exec(word) ?? [];
    if (number !== undefined) return peersAlive(Number(number));
    const hint = suggest(word, CONDITIONS, "wait for ready, founded, in-sync or peers=N");
    throw new TsweaveError("USAGE", `wait knows no condition '${word.slice(0, 64)}'`, { hint });
  });
}

/** Containers can be started: addresses, kernel, plugin, and Docker with the network or off. */
function ready(status: Status): string | undefined {
  const { docker, kernel, health } = status;
  const silent = health.problems.find(({ code }) => code === "DOCKER_UNREACHABLE");
  if (docker.enabled && !docker.plugin) return "the plugin is not served yet";
  if (docker.enabled && silent !== undefined) return silent.text;
  if (docker.enabled && !docker.connected) return "the Docker engine is not followed yet";
  if (docker.enabled && docker.networks === 0) return "Docker has no tsweave network yet";
  if (kernel.lastReconcileMs === null) return "the kernel was not compared yet";
  return founded(status);
}

function founded({ ipam }: Status): string | undefined {
  return ipam.founded ? undefined : `no addresses yet: ${ipam.text}`;
}

function inSync({ kernel }: Status): string | undefined {
  if (kernel.inSync) return undefined;
  return kernel.lastReconcileMs === null
    ? "the kernel was not compared yet"
    : `the kernel differs in ${count(kernel.drift, "step")}`;
}

/** As `status` counts: this peer is one of them. */
function peersAlive(wanted: number): Condition {
  return ({ mesh }) =>
    mesh.alive >= wanted ? undefined : `${mesh.alive} of ${count(wanted, "peer")} alive`;
}
