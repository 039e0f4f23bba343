/** What every error code means and what helps: for `tsweave help CODE` and the reference. */
import type { ErrorCode } from "../../mesh/index.ts";

/** A code in words. */
export interface CodeEntry {
  readonly meaning: string;
  readonly cure: string;
}

/** The compiler holds this to the codes that exist. */
export const ERROR_REFERENCE: Readonly<Record<ErrorCode, CodeEntry>> = {
  USAGE: {
    meaning: "the command line is wrong",
    cure: "the line names the argument; `tsweave help COMMAND`",
  },
  CONFIG: {
    meaning: "a setting is wrong",
    cure: "the line names its source: flag, variable or field",
  },
  SUBNET_OVERLAP: {
    meaning: "the container subnet overlaps a route of this host",
    cure: "another `--ipalloc-range`, the same on all hosts",
  },
  NOT_RUNNING: {
    meaning: "nobody answers on the control socket",
    cure: "`tsweave launch`; the right `--run-dir`",
  },
  NOT_FOUND: { meaning: "what was named does not exist", cure: "the line names it" },
  TIMED_OUT: {
    meaning: "no answer within the deadline",
    cure: "the log of the one that did not answer: `tsweave logs`",
  },
  ALREADY_RUNNING: {
    meaning: "a daemon uses this run or state directory",
    cure: "`tsweave status`, `tsweave stop`",
  },
  STATE_CORRUPT: {
    meaning: "a state file is damaged",
    cure: "the line names the file, and whether a copy must be restored or it may be removed",
  },
  STATE_VERSION: {
    meaning: "the state directory was written in a format that this version does not read",
    cure: "the line names both formats and the version of tsweave to launch once, or to install",
  },
  STATE_UNWRITABLE: {
    meaning: "a directory or file cannot be written",
    cure: "space and permissions of the path in the line",
  },
  PORT_IN_USE: {
    meaning: "another program has the port",
    cure: "stop it, or `--port`, `--vxlan-port`",
  },
  NOT_ROOT: { meaning: "root is needed", cure: "sudo" },
  KERNEL_LACKS: {
    meaning: "the kernel has no VXLAN, bridge or the like",
    cure: "load the module that the line names; `tsweave doctor`",
  },
  TOOL_MISSING: {
    meaning: "ip, bridge, nft or nsenter is not installed",
    cure: "install the package that the line names",
  },
  DOCKER_UNREACHABLE: {
    meaning: "the engine does not answer",
    cure: "start Docker; `--docker-socket`, `--no-docker`",
  },
  DOCKER_REFUSED: {
    meaning: "the engine refused a request",
    cure: "the engine's own words are in the line",
  },
  COMMAND_FAILED: {
    meaning: "a system command failed, or a launch was interrupted",
    cure: "the command's own words are in the line",
  },
  BAD_MESSAGE: {
    meaning: "something received is malformed",
    cure: "the same version on both sides: `tsweave ping PEER` shows it",
  },
  PEER_UNREACHABLE: {
    meaning: "a peer does not answer",
    cure: "the network between the hosts; `tsweave status peers`, `tsweave ping PEER`",
  },
  NO_ADDRESS: {
    meaning: "no address is free for a container",
    cure: "`tsweave status ipam`; a larger subnet, or `tsweave rmpeer` of hosts that are gone",
  },
  ADDRESS_TAKEN: { meaning: "the address asked for is in use", cure: "another `--ip`" },
  POOL_CONFLICT: {
    meaning: "the subnet contradicts one that exists in the mesh",
    cure: "the subnet that the line names",
  },
  NOT_FOUNDED: {
    meaning: "the mesh has no addresses yet",
    cure: "start the peers named at launch; `tsweave status ipam`",
  },
  NO_MAJORITY: {
    meaning: "too many of the peers that decide on members are gone",
    cure: "the line says what `tsweave rmpeer --majority-lost` asserts",
  },
  BAD_REQUEST: {
    meaning: "the daemon cannot do that now, or the request is malformed",
    cure: "the line says which",
  },
  CANCELLED: { meaning: "a person did not agree", cure: "`--yes` where nobody can be asked" },
  INTERNAL: {
    meaning: "a defect, or a daemon that crashed",
    cure: "the log that the line names; `tsweave report` packs what helps to find it",
  },
};
