/**
 * What attaching needs of the rest, as narrow types; the Docker driver's ports serve here too.
 */
import type { StepFailure } from "../failures.ts";
import type { NamespaceView } from "./choice.ts";
import type { EndStep } from "./end-steps.ts";

/** Network namespaces of this host, as paths. */
export interface Namespaces {
  /** This host's own. */
  readonly hostPath: string;
  /** Changes at each boot. */
  readonly bootId: () => Promise<string>;
  /** What a path leads to; undefined when it is no namespace. Costs one system call. */
  inodeAt(path: string): Promise<number | undefined>;
  /** The cookie of the namespace at a path; empty where the kernel or the host cannot tell it. */
  cookieAt(path: string): Promise<string>;
  /** A path to the namespace with this inode: a mount, else a process inside. */
  find(inode: number): Promise<string | undefined>;
  look(path: string): Promise<NamespaceView>;
  /** Applies in order; resolves with what failed, deletions of what is not there left out. */
  apply(steps: readonly EndStep[]): Promise<readonly StepFailure<EndStep>[]>;
  /** Whether Docker's firewall, where there is one, lets tsweave_gw pass. */
  passFirewall(allow: boolean): Promise<void>;
}

/** A container that an engine knows. */
export interface ContainerTarget {
  readonly id: string;
  readonly name: string;
  readonly running: boolean;
  readonly sandboxKey: string;
}

/** Undefined: there is no such container. @throws TsweaveError DOCKER_UNREACHABLE. */
export type FindContainer = (word: string) => Promise<ContainerTarget | undefined>;
