/** What `launch` did, as a person reads it, with the next command to type. */
import type { HealthProblem } from "../control/api.ts";
import type { LaunchSummary } from "../launch-report.ts";
import { count, duration } from "./human.ts";
import { plain, type Style } from "./style.ts";

/** Several lines, each ended by a newline. */
export function launchText(
  summary: LaunchSummary,
  where: { readonly logFile: string | undefined },
  style: Style = plain,
): string {
  const { peer, network, docker, problems } = summary;
  const name = style("strong", peer.name);
  const missing = network.onEngine || !docker.enabled ? "" : ", made as soon as Docker answers";
  const notes = problems.filter((problem) => !isSaid(summary, problem));
  const lines = [
    `tsweave ${summary.version}: peer ${name} (${peer.id.slice(0, 8)}) serves`,
    `  address  ${summary.advertise}`,
    `  network  ${network.name} ${network.subnet}${missing}`,
    `  docker   ${dockerText(docker)}`,
    `  peers    ${peersText(summary)}`,
    ...(where.logFile === undefined ? [] : [`  log      ${where.logFile}`]),
    ...notes.map(({ text, next }) => style("doubtful", `  note     ${text}${advice(next)}`)),
    `next: ${nextCommand(summary)}`,
  ];
  return `${lines.join("\n")}\n`;
}

function dockerText(docker: LaunchSummary["docker"]): string {
  if (!docker.enabled) return "off (--no-docker)";
  if (docker.version !== null) return `engine ${docker.version}`;
  if (docker.silence === null) return "not reachable yet";
  const waited = duration(Math.round(docker.silence.waitedMs / 1000));
  return `no answer on ${docker.socket} within ${waited} -> systemctl status docker`;
}

/** What the line about Docker says already is no note. */
function isSaid({ docker }: LaunchSummary, { code }: HealthProblem): boolean {
  return code === "DOCKER_UNREACHABLE" && docker.version === null && docker.silence !== null;
}

function peersText({ peersNamed, peersReached, peersAlive }: LaunchSummary): string {
  const alive = peersAlive > peersReached ? `; ${count(peersAlive, "other peer")} alive` : "";
  if (peersNamed === 0) return `none named${alive || "; on the other hosts, name this one"}`;
  const reached = `${peersReached} of ${count(peersNamed, "named peer")} reached`;
  const rest = peersReached < peersNamed ? ", the rest is tried until it answers" : "";
  return `${reached}${rest}${alive}`;
}

function nextCommand({ network }: LaunchSummary): string {
  if (!network.onEngine) return "tsweave status";
  return `docker run -d --net ${network.name} --name web IMAGE   (and: tsweave status)`;
}

function advice(next: string | null): string {
  return next === null ? "" : ` -> ${next}`;
}
