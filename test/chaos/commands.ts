/** What churn types: one step is one or a few commands, run one after the other. */
import { BUNDLE } from "../lib/mesh-hosts.ts";
import type { Churn } from "./action.ts";

/** Refusals that say only that an earlier step did not happen, or another host was first. */
const NOT_AS_PLANNED = new RegExp(
  [
    ...["No such container", "in use by container", "not running", "not connected"],
    ...["task .* already exists", "network g\\d+ not found"],
    // Docker's own, after a kill in the middle of a removal: its name may be another one's by now.
    "is marked for removal",
    // Asked for again when the owner is back, which has given it to somebody meanwhile.
    "is running there; choose another address",
  ].join("|"),
);
/** Of a connection that is there already; of a start it would be an endpoint left behind. */
const IS_CONNECTED = /already exists in network/;
const IS_MADE = /network with name \S+ already exists|network g\d+ exists with/;
/** Of the removal of a network that this or another host uses, or that is gone already. */
const IS_USED_OR_GONE = /in use|has active endpoints|not found|has no network|No such network/;

const SERVE = "mkdir -p /www; hostname > /www/index.html; exec httpd -f -h /www";
const HTTPD = ["busybox", "sh", "-c", SERVE];

/** Whether the failure of a command is one that the schedule, which never looks, must expect. */
export function isExpected(action: Churn, stderr: string): boolean {
  if (NOT_AS_PLANNED.test(stderr)) return true;
  if (action.kind === "connect" || action.kind === "group-up") {
    if (IS_CONNECTED.test(stderr)) return true;
  }
  if (action.kind === "group-up") return IS_MADE.test(stderr);
  return action.kind === "group-down" && IS_USED_OR_GONE.test(stderr);
}

/** The command lines of a step. */
export function commandsOf(action: Churn): string[][] {
  switch (action.kind) {
    case "group-up":
      return groupUp(action);
    case "group-down":
      return [
        ["docker", "rm", "-f", member(action, "db"), member(action, "web")],
        [...networkCommand(action.by), "rm", action.group],
      ];
    default:
      return [["docker", ...dockerArgs(action)]];
  }
}

type Group = Extract<Churn, { group: string }>;

const member = ({ group, host }: Group, role: string): string => `${group}-${role}-${host}`;

function networkCommand(by: "docker" | "tsweave"): string[] {
  return by === "docker" ? ["docker", "network"] : [process.execPath, BUNDLE, "network"];
}

/** The same subnet on every host and in every life of the group, as a compose file would have. */
function groupUp(action: Group): string[][] {
  const { group, by } = action;
  const drivers = by === "docker" ? ["-d", "tsweave", "--ipam-driver", "tsweave"] : [];
  const subnet = ["--subnet", `10.9${group.slice(1)}.0.0/16`];
  const run = (role: string): string[] => [
    ...["docker", "run", "-d", "--net", group, "--name", member(action, role)],
    ...["--network-alias", role, "--stop-timeout", "1", ...HTTPD],
  ];
  const connect = ["docker", "network", "connect", "--alias", `${group}web`, "tsweave"];
  return [
    [...networkCommand(by), "create", ...drivers, ...subnet, group],
    run("db"),
    run("web"),
    [...connect, member(action, "web")],
  ];
}

function dockerArgs(action: Exclude<Churn, Group>): string[] {
  switch (action.kind) {
    case "run":
      return [
        ...["run", "-d", "--net", "tsweave", "--name", action.name, "--stop-timeout", "1"],
        ...(action.ip === null ? [] : ["--ip", action.ip]),
        ...(action.alias === null ? [] : ["--network-alias", action.alias]),
        ...(action.isRestarted ? ["--restart", "always"] : []),
        ...(action.isPublished ? ["-p", "80"] : []),
        ...HTTPD,
      ];
    case "rm":
      return ["rm", "-f", action.name];
    case "restart":
      return ["restart", "-t", "1", action.name];
    case "rename":
      return ["rename", action.name, action.to];
    case "connect": {
      const alias = action.alias === null ? [] : ["--alias", action.alias];
      return ["network", "connect", ...alias, action.network, action.name];
    }
    default:
      return ["network", "disconnect", action.network, action.name];
  }
}
