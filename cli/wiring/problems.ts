/** What a person should know of the daemon's state, each with the command or change that helps. */
import type { DnsStatus } from "../../dns/index.ts";
import type { Member, Stranger } from "../../mesh/index.ts";
import type { DockerStatus, ReconcileStatus } from "../../overlay/index.ts";
import type { HealthProblem } from "../control/api.ts";

export interface Observations {
  readonly cloned: boolean;
  readonly twins: readonly {
    readonly code: string;
    readonly text: string;
    readonly next: string;
  }[];
  readonly members: readonly Member[];
  readonly strangers: readonly Stranger[];
  /** The password given at launch was removed from the key ring. */
  readonly outdatedPassword: boolean;
  readonly addresses: readonly HealthProblem[];
  readonly kernel: ReconcileStatus;
  readonly dns: DnsStatus;
  /** Undefined with --no-docker. */
  readonly docker: DockerStatus | undefined;
}

/** All problems, those of the mesh first. */
export function problemsOf(seen: Observations): HealthProblem[] {
  return [
    ...clone(seen.cloned),
    ...seen.twins,
    ...strangers(seen.strangers),
    ...password(seen.outdatedPassword),
    ...silentPeers(seen.members),
    ...seen.addresses,
    ...kernel(seen.kernel),
    ...engine(seen.docker),
    ...resolvers(seen.dns),
  ];
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

/** Named one by one up to so many. */
const STRANGERS_SHOWN_MAX = 8;
const STRANGENESS = {
  "other-key": { code: "WRONG_KEY", text: "uses another password than this peer" },
  plain: { code: "PEER_PLAIN", text: "does not encrypt, this peer does" },
  sealed: { code: "PEER_ENCRYPTED", text: "encrypts, this peer does not" },
} as const;

function strangers(seen: readonly Stranger[]): HealthProblem[] {
  const next = "launch both with the same password: tsweave launch --password-file FILE";
  const shown = seen.slice(0, STRANGERS_SHOWN_MAX).map(({ place, why }) => {
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
  return members
    .filter(({ state }) => state === "suspect" || state === "dead")
    .map(({ name, state, advertise }) => ({
      code: state === "dead" ? "PEER_DEAD" : "PEER_SUSPECT",
      text: `peer ${name} (${advertise.host}) does not answer`,
      next: `ping ${advertise.host}, and 'tsweave status' on ${name}`,
    }));
}

function kernel({ inSync, passes, drift, lastError }: ReconcileStatus): HealthProblem[] {
  if (inSync || passes === 0) return [];
  const why = lastError ?? `${drift} entries differ`;
  const next = "see the log; the next pass tries again";
  return [{ code: "KERNEL_DRIFT", text: `the kernel is not as it should be: ${why}`, next }];
}

function engine(docker: DockerStatus | undefined): HealthProblem[] {
  if (docker === undefined || docker.connected) return [];
  const why = docker.lastError === null ? "" : `: ${docker.lastError}`;
  return [
    {
      code: "DOCKER_UNREACHABLE",
      text: `Docker does not answer${why}`,
      next: "systemctl start docker; containers that run keep their network",
    },
  ];
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
