/** The host as doctor looks at it: what is known of the daemon, and how programs are run. */
import { execFile } from "node:child_process";
import type { HostFacts, NetworkRow, PeerAnswer, Status } from "../control/api.ts";
import type { ControlClient } from "../control/client.ts";

/** What the running daemon says; undefined when none runs. */
export interface Daemon {
  readonly client: ControlClient;
  readonly status: Status;
  readonly host: HostFacts;
  readonly networks: readonly NetworkRow[];
  readonly answers: readonly PeerAnswer[];
}

/** What every check is given. */
export interface Host {
  readonly daemon: Daemon | undefined;
  /** As launched, or as the next launch would have it. */
  readonly config: HostFacts["config"];
}

export interface Ran {
  /** 0: well; -1: not installed or late. */
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const DEADLINE_MS = 5000;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** Runs a program to its end, in the C locale and with sbin on its path. Never rejects. */
export async function tool(
  argv: readonly string[],
  input = "",
  deadlineMs = DEADLINE_MS,
): Promise<Ran> {
  const [file = "", ...args] = argv;
  const path = `${process.env.PATH ?? "/usr/bin:/bin"}:/usr/local/sbin:/usr/sbin:/sbin`;
  const options = {
    timeout: deadlineMs,
    killSignal: "SIGKILL" as const,
    maxBuffer: OUTPUT_BYTES_MAX,
    env: { ...process.env, PATH: path, LC_ALL: "C" },
  };
  return await new Promise((resolve) => {
    const child = execFile(file, args, options, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, out, err: code === -1 && err === "" ? String(error?.message) : err });
    });
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}
