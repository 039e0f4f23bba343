/**
 * From what is seen of an attachment's target to what is to be done. Pure.
 *
 * Law: gone is what is proved gone. A namespace dies with everything in it, so a pair whose overlay
 * end is still there has a living target, whatever became of the path it was entered by; a path
 * that leads to another namespace proves nothing by itself.
 */
import type { NetnsIdentity, Target } from "./model.ts";

export interface Sighting {
  readonly bootId: string;
  /** What the recorded path leads to now; undefined: to no namespace. */
  readonly there: NetnsIdentity | undefined;
  /** Another path to a namespace with the recorded inode, looked for when `there` is not it. */
  readonly elsewhere: { readonly path: string; readonly cookie: string } | undefined;
  /** Whether the overlay end of its pair is there. */
  readonly plugged: boolean;
  /** Whether we hold sockets inside, which alone would keep the namespace alive. */
  readonly hooked: boolean;
}

export type Verdict =
  /** Nothing to do. */
  | { readonly what: "fine" }
  /** The target lives and has no interface: make it again. */
  | { readonly what: "replug" }
  /** The namespace is entered by another path now. */
  | { readonly what: "moved"; readonly path: string }
  /** Perhaps only our own sockets keep it: let them go, then look again. */
  | { readonly what: "unhook" }
  /** Something that cannot be seen from here keeps it. */
  | { readonly what: "unseen" }
  | { readonly what: "gone" };

export function judge(target: Target, seen: Sighting): Verdict {
  if (target.kind === "host") return { what: seen.plugged ? "fine" : "replug" };
  if (target.bootId !== seen.bootId) return { what: "gone" };
  if (seen.there !== undefined && isSame(target, seen.there, true)) {
    return { what: seen.plugged ? "fine" : "replug" };
  }
  const { elsewhere } = seen;
  if (elsewhere !== undefined && isSame(target, { ...target, ...elsewhere }, seen.plugged)) {
    return { what: "moved", path: elsewhere.path };
  }
  if (!seen.plugged) return { what: "gone" };
  return { what: seen.hooked ? "unhook" : "unseen" };
}

/** A cookie tells an inode that is used again; without one `inDoubt` is the answer. */
function isSame(target: NetnsIdentity, other: NetnsIdentity, inDoubt: boolean): boolean {
  if (other.inode !== target.inode) return false;
  if (target.cookie !== "" && other.cookie !== "") return target.cookie === other.cookie;
  return inDoubt;
}
