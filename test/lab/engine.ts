/**
 * The Docker Engine of one lab host: a real dockerd with its own containerd, at the default paths,
 * which are private in the host's mount namespace.
 */
import { createReadStream } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { cgroupParent } from "./cgroups.ts";
import { ExecError, type ExecOptions, type ExecResult, until } from "./exec.ts";
import { IMAGE, IMAGE_CHANGES } from "./image.ts";

export const SOCKET = "/var/run/docker.sock";
const ENGINE_LOG = "/var/log/dockerd.log";
const PIDFILE = "/run/docker.pid";

/**
 * A pid file that outlived its process names a number that, in the few numbers of a host, soon
 * belongs to another process; dockerd would then wait for that one for ever.
 */
const START = `
for file in ${PIDFILE} /run/docker/containerd/containerd.pid; do
  [ -s "$file" ] || continue
  case $(cat "/proc/$(cat "$file")/comm" 2> /dev/null) in
    dockerd|containerd) ;;
    *) rm -f "$file" ;;
  esac
done
rm -f ${SOCKET}
setsid dockerd "$@" >> ${ENGINE_LOG} 2>&1 < /dev/null &`;

/** What an engine needs of its host. */
export interface EngineHost {
  readonly lab: string;
  readonly name: string;
  readonly storageDriver: string;
  readonly dockerdArgs: readonly string[];
  exec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /** The path by which this process sees a file of the host. */
  path(file: string): string;
}

function engineArgs(host: EngineHost): string[] {
  return [
    ...["--config-file", "/run/dockerd.json", "--data-root", "/var/lib/docker"],
    ...["--exec-root", "/run/docker", "--pidfile", PIDFILE, "-H", `unix://${SOCKET}`],
    ...["--cgroup-parent", cgroupParent(host.lab, host.name)],
    ...["--exec-opt", "native.cgroupdriver=cgroupfs"],
    ...["--storage-driver", host.storageDriver, "--log-level", "warn"],
    ...host.dockerdArgs,
  ];
}

/** Starts dockerd and resolves when it answers. Throws with the end of its log. */
export async function startEngine(host: EngineHost): Promise<void> {
  await host.exec(["sh", "-c", `echo {} > /run/dockerd.json\n${START}`, "sh", ...engineArgs(host)]);
  let checks = 0;
  try {
    await until(
      `the engine of ${host.name}`,
      async () => {
        if (await pingEngine(host)) return true;
        checks += 1;
        if (checks % 20 === 0 && !(await isRunning(host))) throw new Error("dockerd exited");
        return false;
      },
      { timeoutMs: 60_000, everyMs: 50 },
    );
  } catch (error) {
    const log = await host.exec(["tail", "-n", "20", ENGINE_LOG], { allowFailure: true });
    throw new Error(`engine of ${host.name} did not start\n${log.stdout}`, { cause: error });
  }
}

async function isRunning(host: EngineHost): Promise<boolean> {
  const check = ["sh", "-c", "pidof dockerd > /dev/null"];
  return (await host.exec(check, { allowFailure: true })).code === 0;
}

/** Whether the engine answers now. */
async function pingEngine(host: EngineHost): Promise<boolean> {
  try {
    return (await engineRequest(host, "GET", "/_ping", { timeoutMs: 2_000 })).status === 200;
  } catch {
    return false;
  }
}

/** Sends `signal` to dockerd; with TERM waits for its orderly end, containers stopped. */
export async function signalEngine(host: EngineHost, signal: "TERM" | "KILL"): Promise<void> {
  const script = `pid=$(cat ${PIDFILE}) && kill -${signal} "$pid" || exit 3
    while [ -e "/proc/$pid" ]; do sleep 0.05; done`;
  try {
    await host.exec(["sh", "-c", script]);
  } catch (error) {
    if (error instanceof ExecError && error.result.code === 3) {
      throw new Error(`no engine runs on ${host.name}`, { cause: error });
    }
    throw error;
  }
}

/** Gives the engine the lab's image, unless its disk has it already. */
export async function importImage(host: EngineHost, tar: string): Promise<void> {
  if ((await engineRequest(host, "GET", `/images/${IMAGE}/json`)).status === 200) return;
  const [repo = "", tag = ""] = IMAGE.split(":");
  const query = new URLSearchParams({ fromSrc: "-", repo, tag });
  for (const change of IMAGE_CHANGES) query.append("changes", change);
  const reply = await engineRequest(host, "POST", `/images/create?${query}`, { file: tar });
  if (reply.status !== 200 || reply.body.includes('"error"')) {
    throw new Error(`docker import on ${host.name}: ${reply.body}`);
  }
}

export interface EngineReply {
  readonly status: number;
  readonly body: string;
}

/** One request to the engine's API, without the version in the path. Throws if it is down. */
export function engineRequest(
  host: EngineHost,
  method: string,
  path: string,
  options: { json?: unknown; file?: string; timeoutMs?: number } = {},
): Promise<EngineReply> {
  return new Promise((resolve, reject) => {
    const headers = { Host: "docker", "Content-Type": "application/json" };
    const call = request({ socketPath: host.path(SOCKET), method, path, headers });
    call.setTimeout(options.timeoutMs ?? 30_000, () => {
      call.destroy(new Error(`${method} ${path} on ${host.name}: no answer`));
    });
    call.once("error", reject);
    call.once("response", (response) => {
      readBody(response).then(
        (body) => resolve({ status: response.statusCode ?? 0, body }),
        reject,
      );
    });
    if (options.file !== undefined) createReadStream(options.file).pipe(call);
    else call.end(options.json === undefined ? undefined : JSON.stringify(options.json));
  });
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
