/**
 * From the word that names a target to its namespace.
 *
 * Law: a word is a path when it begins with a slash, a process when it is a number that one has,
 * else a container, else a name under /run/netns; which it was is said, never guessed again.
 */
import { TsweaveError } from "../../mesh/index.ts";
import type { Target } from "./model.ts";
import type { FindContainer, Namespaces } from "./ports.ts";

const NETNS_DIR = "/run/netns";
/** Paths end up in batches for `ip`. */
const PLAIN_PATH = /^\/[\w.:/@+-]{1,4000}$/;

export interface ResolvePorts {
  readonly namespaces: Namespaces;
  readonly findContainer: FindContainer;
}

export type Found = Pick<Target, "kind" | "label" | "path" | "containerId">;

/** @throws TsweaveError NOT_FOUND, BAD_REQUEST, DOCKER_UNREACHABLE. */
export async function resolveTarget(word: string, ports: ResolvePorts): Promise<Target> {
  const { namespaces } = ports;
  const found = await locate(word, ports);
  if (/\/tsweave-[0-9a-f]{10}$/.test(found.path)) {
    throw new TsweaveError("BAD_REQUEST", `${found.path} is an overlay namespace of tsweave`, {
      hint: "to give the host an address use 'tsweave expose'",
    });
  }
  const inode = await namespaces.inodeAt(found.path);
  if (inode === undefined) {
    throw new TsweaveError("NOT_FOUND", `${found.path} is not a network namespace`, {
      hint: "see 'ip netns list' and 'docker ps'",
    });
  }
  if (inode === (await namespaces.inodeAt(namespaces.hostPath))) {
    throw new TsweaveError("BAD_REQUEST", `${found.label} is in the host's own namespace`, {
      hint: "to give the host an address use 'tsweave expose'",
    });
  }
  const [cookie, bootId] = await Promise.all([
    namespaces.cookieAt(found.path),
    namespaces.bootId(),
  ]);
  return { ...found, inode, cookie, bootId };
}

/** This host's own namespace as a target. */
export async function hostTarget(namespaces: Namespaces): Promise<Target> {
  const inode = (await namespaces.inodeAt(namespaces.hostPath)) ?? 0;
  const bootId = await namespaces.bootId();
  const none = { path: "", containerId: "", cookie: "" };
  return { kind: "host", label: "host", inode, bootId, ...none };
}

/** Where a word's namespace is entered, whatever it is. @throws as `resolveTarget`. */
export async function locate(word: string, ports: ResolvePorts): Promise<Found> {
  if (word.startsWith("/")) return pathTarget(word);
  if (/^\d{1,7}$/.test(word)) {
    const path = `/proc/${word}/ns/net`;
    const lives = (await ports.namespaces.inodeAt(path)) !== undefined;
    if (lives) return { kind: "process", label: word, path, containerId: "" };
  }
  return await containerOrName(word, ports);
}

function pathTarget(path: string): Found {
  if (!PLAIN_PATH.test(path)) {
    throw new TsweaveError("BAD_REQUEST", `the path ${path.slice(0, 64)} is not a plain one`, {
      hint: "give the namespace a name: ip netns attach NAME PID",
    });
  }
  return { kind: "netns", label: path, path, containerId: "" };
}

async function containerOrName(word: string, ports: ResolvePorts): Promise<Found> {
  const failure: { error?: unknown } = {};
  const container = await ports.findContainer(word).catch((error: unknown) => {
    failure.error = error;
    return undefined;
  });
  if (container !== undefined) {
    const { id, name, running, sandboxKey } = container;
    if (!running || sandboxKey === "") {
      throw new TsweaveError("BAD_REQUEST", `container ${name} does not run`, {
        hint: `docker start ${name}`,
      });
    }
    return { kind: "container", label: name, path: sandboxKey, containerId: id };
  }
  const path = `${NETNS_DIR}/${word}`;
  const isName = /^[\w.:@+-]{1,255}$/.test(word);
  if (isName && (await ports.namespaces.inodeAt(path)) !== undefined) return pathTarget(path);
  if (failure.error !== undefined) throw failure.error;
  const kinds = /^\d+$/.test(word) ? "process, container or namespace" : "container or namespace";
  throw new TsweaveError("NOT_FOUND", `there is no ${kinds} '${word.slice(0, 64)}'`, {
    hint: "see 'docker ps' and 'ip netns list'",
  });
}
