/** What a person should know of the daemon's state, each with the command or change that helps. */
import type { DnsStatus } from "../../dns/index.ts";
import type { Member, Stranger } from "../../mesh/index.ts";
import { type DockerStatus, failureCure, type ReconcileStatus } from "../../overlay/index.ts";
import type { EndpointRow, HealthProblem } from "../control/api.ts";
import { replacedPeers } from "./heirs.ts";
import { type PathPorts, pathProblems } from "./path-problems.ts";
import { cureOf, type Keeper, twiceRows } from "./twice.ts";

export interface Observations {
  readonly cloned: boolean;
  readonly twins: readonly {
    readonly code: string;
    readonly text: string;
    readonly next: string;
  }[];
  readonly nowMs: number;
  readonly members: readonly Member[];
  readonly ports: PathPorts;
  readonly strangers: readonly Stranger[];
  /** The password given at launch was removed from the key ring. */
  readonly outdatedPassword: boolean;
  readonly addresses: readonly (HealthProblem & { readonly ip?: string })[];
  /** Networks that differ from what the mesh has. */
  readonly networks: readonly HealthProblem[];
  /** Of ports, sizes and tunnels between hosts. */
  readonly underlay: readonly HealthProblem[];
  readonly kernel: ReconcileStatus;
  readonly dns: DnsStatus;
  /** Undefined with --no-docker. */
  readonly docker: DockerStatus | undefined;
  /** At least those that share an address, have one of `addresses`, or lack a veth pair. */
  readonly endpoints: readonly EndpointRow[];
  /** Who keeps an address that several have. */
  readonly keeper?: Keeper;
  readonly attachments: readonly HealthProblem[];
  /** What launch makes on the engine, and whether it is there. */
  readonly defaultNetwork: {
    readonly name: string;
    readonly subnet: string;
    readonly onEngine: boolean;
  };
}

/** Of problems that come in numbers, so many are named one by one. */
const NAMED_MAX = 8;

const LAST_RESORT = "tsweave logs --level warn";

/** All problems, those of the mesh first, each with what helps. */
export function problemsOf(seen: Observations): HealthProblem[] {
  const found = [
    ...clone(seen.cloned),
    ...seen.twins,
    ...strangers(seen.strangers),
    ...password(seen.outdatedPassword),
    ...silentPeers(seen.members),
    ...pathProblems(seen.members, seen.ports, seen.nowMs),
    ...seen.underlay,
    ...addresses(seen),
    ...seen.networks,
    ...twice(seen),
    ...macsTwice(seen.endpoints),
    ...kernel(seen.kernel, seen.ports),
    ...unplugged(seen.endpoints),
    ...seen.attachments,
    ...engine(seen.docker),
    ...network(seen),
    ...resolvers(seen.dns),
  ];
  // Whatever it is, there is something to type.
  return found.map((problem) => ({ ...problem, next: problem.next ?? LAST_RESORT }));
}

function clone(cloned: boolean): HealthProblem[] {
  if (!cloned) return [];
  return [
    {
      code: "CLONED_ID",
      text: "another live peer uses this peer's id: its state directory is a copy",
      next: "on one of the two: tsweave stop, remove its state directory, tsweave launch",
    },
  ];
}

const STRANGENESS = {
  "other-key": { code: "WRONG_KEY", text: "uses another password than this peer" },
  plain: { code: "PEER_PLAIN", text: "does not encrypt, this peer does" },
  sealed: { code: "PEER_ENCRYPTED", text: "encrypts, this peer does not" },
} as const;

function strangers(seen: readonly Stranger[]): HealthProblem[] {
  const next = "launch both with the same password: tsweave launch --password-file FILE";
  const shown = seen.slice(0, NAMED_MAX).map(({ place, why }) => {
    const { code, text } = STRANGENESS[why];
    return { code, text: `the peer at ${place} ${text}: nothing of it is taken`, next };
  });
  const more = seen.length - shown.length;
  if (more <= 0) return shown;
  return [...shown, { code: "WRONG_KEY", text: `${more} more peers are not understood`, next }];
}

function password(outdated: boolean): HealthProblem[] {
  if (!outdated) return [];
  return [
    {
      code: "PASSWORD_OUTDATED",
      text: "the password given at launch was removed from the key ring, which is used instead",
      next: "put the mesh's present password into the file that launch reads",
    },
  ];
}

function silentPeers(members: readonly Member[]): HealthProblem[] {
  const replaced = replacedPeers(members);
  return members
    .filter((member) => member.state === "suspect" || member.state === "dead")
    .filter((member) => !replaced.has(member))
    .map(({ name, state, advertise }) => ({
      code: state === "dead" ? "PEER_DEAD" : "PEER_SUSPECT",
      text: `peer ${name} (${advertise.host}) does not answer`,
      next: `tsweave ping ${name}, and 'tsweave status' on ${name}`,
    }));
}

function kernel(
  { inSync, passes, drift, lastError }: ReconcileStatus,
  { vxlan }: PathPorts,
): HealthProblem[] {
  if (inSync || passes === 0) return [];
  const why = lastError ?? `${drift} entries differ`;
  const taken = portTaken(why, vxlan);
  if (taken !== undefined) return [taken];
  const next = failureCure(why) ?? `${LAST_RESORT}; the next pass tries again`;
  return [{ code: "KERNEL_DRIFT", text: `the kernel is not as it should be: ${why}`, next }];
}

/** Another program had the port before a vxlan device of ours was up. */
function portTaken(why: string, port: number): HealthProblem | undefined {
  const other = "or launch all hosts with another --vxlan-port";
  if (!/Address already in use/.test(why)) return undefined;
  return {
    code: "PORT_IN_USE",
    text: `UDP port ${port} (VXLAN) was taken by another program: ${why}`,
    next: `ss -ulnp sport = :${port} shows it: end it, ${other}`,
  };
}

/** Containers whose own end leads nowhere: only Docker can give them a new pair. */
function unplugged(endpoints: readonly EndpointRow[]): HealthProblem[] {
  const cut = endpoints.filter(({ state }) => state === "unplugged");
  return several("UNPLUGGED", cut, ({ name, network: net, id }) => {
    const container = name === "" ? id.slice(0, 12) : name;
    return {
      text: `container ${container} is cut off from network ${net}: its veth pair is gone`,
      next: `docker restart ${container}`,
    };
  });
}

/** What ipalloc says of an address in use here, with the name of the container. */
function addresses({ addresses: found, endpoints }: Observations): HealthProblem[] {
  const here = new Map(endpoints.filter(({ local }) => local).map((row) => [row.ip, row]));
  return found.map(({ code, text, next, ip }) => {
    const row = ip === undefined ? undefined : here.get(ip);
    if (row === undefined || code !== "ADDRESS_CONFLICT") return { code, text, next };
    const name = row.name === "" ? row.id.slice(0, 12) : row.name;
    return { code, text: `container ${name}: ${text}`, next: `docker restart ${name}` };
  });
}

/** Two containers with one address. */
function twice({ endpoints, keeper = () => undefined }: Observations): HealthProblem[] {
  return several("ADDRESS_TWICE", twiceRows(endpoints, keeper), (row) => {
    const { container, peer, ip, keeper: kept } = row;
    const who = `${kept.container} on ${kept.peer} and ${container} on ${peer}`;
    return { text: `${who} have one address ${ip}`, next: cureOf(row) };
  });
}

/** The same for MACs, which follow from addresses unless somebody chose them. */
function macsTwice(endpoints: readonly EndpointRow[]): HealthProblem[] {
  const first = new Map<string, EndpointRow>();
  const pairs: { one: EndpointRow; two: EndpointRow }[] = [];
  for (const two of endpoints.filter(({ local, state }) => local || state === "alive")) {
    const one = first.get(`${two.network} ${two.mac}`);
    if (one === undefined) first.set(`${two.network} ${two.mac}`, two);
    else if (one.ip !== two.ip) pairs.push({ one, two });
  }
  return several("MAC_TWICE", pairs, ({ one, two }) => {
    const who = [one, two].map(({ name, peer }) => `${name} on ${peer}`).join(" and ");
    const next = "remove one and start it without --mac-address";
    return { text: `${who} have one MAC ${two.mac}`, next };
  });
}

function several<T>(
  code: string,
  items: readonly T[],
  tell: (item: T) => { readonly text: string; readonly next: string },
): HealthProblem[] {
  const named = items.slice(0, NAMED_MAX).map((item) => ({ code, ...tell(item) }));
  const more = items.length - named.length;
  if (more === 0) return named;
  return [...named, { code, text: `${more} more like this`, next: "tsweave status endpoints" }];
}

/** An open event stream proves nothing: an engine that hangs keeps it open. */
function engine(docker: DockerStatus | undefined): HealthProblem[] {
  if (docker === undefined) return [];
  const answered = docker.connected || docker.lastSyncWallMs !== null;
  if (answered && docker.lastError === null) return [];
  const why = docker.lastError === null ? "" : `: ${docker.lastError}`;
  return [
    {
      code: "DOCKER_UNREACHABLE",
      text: `Docker does not answer${why}`,
      next: "systemctl status docker; containers that run keep their network",
    },
  ];
}

function network({ docker, defaultNetwork: wanted }: Observations): HealthProblem[] {
  const unknown = docker === undefined || docker.lastSyncWallMs === null;
  if (wanted.onEngine || unknown || docker.lastError !== null) return [];
  const { name, subnet } = wanted;
  const driver = "-d tsweave --ipam-driver tsweave";
  const create = `docker network create ${driver} --subnet ${subnet} ${name}`;
  return [{ code: "NETWORK_MISSING", text: `Docker has no network ${name}`, next: create }];
}

function resolvers(dns: DnsStatus): HealthProblem[] {
  return dns.sandboxes.flatMap(({ key, problem }) =>
    problem === undefined
      ? []
      : [
          {
            code: problem.code,
            text: `names are not answered in sandbox ${key}: ${problem.text}`,
            next: problem.next ?? null,
          },
        ],
  );
}
