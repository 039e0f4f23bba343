/** Named network namespaces: where they are, how to get into one, which one a name leads to now. */
import { stat } from "node:fs/promises";

/** Path of a namespace with this name. */
export function netnsPath(netns: string): string {
  return `/run/netns/${netns}`;
}

/** Words before a command that works in a namespace, given by name or path. */
export function entering(netns: string): readonly string[] {
  return ["nsenter", `--net=${netns.startsWith("/") ? netns : netnsPath(netns)}`];
}

/** Inode of a namespace's file; undefined when there is none. */
export async function inodeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).ino;
  } catch {
    return undefined; // No such process or name any more: no inode is the answer.
  }
}
