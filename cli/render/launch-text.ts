/** What `launch` did, as a person reads it, with the next command to type. */
import type { LaunchSummary } from "../launch-report.ts";
import { count } from "./human.ts";
import { plain, type Style } from "./style.ts";

/** Several lines, each ended by a newline. */
export function launchText(
  summary: LaunchSummary,
  where: { readonly logFile: string | undefined },
  style: Style = plain,
): string {
  const { peer, network, docker, problems } = summary;
  const name = style("strong", peer.name);
  const missing = network.onEngine || !docker.enabled ? "" : ", not on an engine yet";
  const lines = [
    `tsweave ${summary.version}: peer ${name} (${peer.id.slice(0, 8)}) serves`,
    `  address  ${summary.advertise}`,
    `  network  ${network.name} ${network.subnet}${missing}`,
    `  docker   ${dockerText(docker)}`,
    `  peers    ${peersText(summary)}`,
    ...(where.logFile === undefined ? [] : [`  log      ${where.logFile}`]),
    ...problems.map(({ text, next }) => style("doubtful", `  note     ${text}${advice(next)}`)),
    `next: ${nextCommand(summary)}`,
  ];
  return `${lines.join("\n")}\n`;
}

function dockerText(docker: LaunchSummary["docker"]): string {
  if (!docker.enabled) return "off (--no-docker)";
  return docker.version === null ? "not reachable yet" : `engine ${docker.version}`;
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
