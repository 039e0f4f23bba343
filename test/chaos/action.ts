/** What chaos does: container churn and faults, as data that is planned, printed and replayed. */

export type Churn =
  | {
      readonly kind: "run";
      readonly host: string;
      readonly name: string;
      readonly ip: string | null;
      readonly alias: string | null;
      readonly isRestarted: boolean;
      /** Its port 80 at the host, on a port that Docker chooses. */
      readonly isPublished: boolean;
    }
  | { readonly kind: "rm" | "restart"; readonly host: string; readonly name: string }
  | { readonly kind: "rename"; readonly host: string; readonly name: string; readonly to: string }
  | {
      readonly kind: "connect";
      readonly host: string;
      readonly name: string;
      readonly network: string;
      readonly alias: string | null;
    }
  | {
      readonly kind: "disconnect";
      readonly host: string;
      readonly name: string;
      readonly network: string;
    }
  | {
      /** A network of its own with two containers, as a compose file has; its end. */
      readonly kind: "group-up" | "group-down";
      readonly host: string;
      readonly group: string;
      /** Whose command makes and removes the network. */
      readonly by: "docker" | "tsweave";
    };

/** Faults of one host that last a while. */
export const HOST_FAULTS = [
  ...(["daemon-kill", "daemon-pause", "daemon-stop", "disk-full"] as const),
  ...(["engine-restart", "engine-kill", "power", "link"] as const),
];
/** Wrongs done to a host's kernel, to be put right by its daemon. */
export const KERNEL_FAULTS = ["nft", "neigh", "fdb"] as const;

export type Fault =
  | {
      readonly kind: (typeof HOST_FAULTS)[number];
      readonly host: string;
      readonly forMs: number;
    }
  | { readonly kind: (typeof KERNEL_FAULTS)[number]; readonly host: string }
  | {
      readonly kind: "loss";
      readonly host: string;
      readonly percent: number;
      readonly forMs: number;
    }
  | { readonly kind: "mtu"; readonly host: string; readonly bytes: number; readonly forMs: number }
  | { readonly kind: "rate"; readonly host: string; readonly mbit: number; readonly forMs: number }
  | {
      /** The daemon's wall clock is ahead (behind, if negative) for a while. */
      readonly kind: "clock";
      readonly host: string;
      readonly seconds: number;
      readonly forMs: number;
    }
  | {
      /** The power is cut, all others remove the host, and it boots or is replaced. */
      readonly kind: "rmpeer";
      readonly host: string;
      readonly isReplaced: boolean;
      readonly forMs: number;
    }
  | {
      readonly kind: "partition";
      readonly groups: readonly (readonly string[])[];
      readonly isOneWay: boolean;
      readonly forMs: number;
    };

export type FaultKind = Fault["kind"];
export type Action = Churn | Fault;

export interface Step {
  /** 1, 2, … over the whole run. */
  readonly number: number;
  /** Not before this long after the start of its round. */
  readonly atMs: number;
  readonly action: Action;
}

export interface Round {
  readonly number: number;
  /** daemon: only faults that no packet may notice. */
  readonly theme: "daemon" | "all";
  readonly steps: readonly Step[];
}

const CHURN = new Set([
  ...["run", "rm", "restart", "rename", "connect", "disconnect", "group-up", "group-down"],
]);

/** Whether a step is container churn; else it is a fault. */
export function isChurn(action: Action): action is Churn {
  return CHURN.has(action.kind);
}

/** One step as a line: `#12  +3.4 s  loss host=h2 percent=20 forMs=5000`. */
export function stepText({ number, atMs, action }: Step): string {
  const words = Object.entries(action)
    .filter(([field, value]) => field !== "kind" && value !== null && value !== false)
    .map(([field, value]) => `${field}=${Array.isArray(value) ? value.join(" | ") : value}`);
  const at = `+${(atMs / 1000).toFixed(1)} s`.padStart(8);
  return `#${String(number).padEnd(3)} ${at}  ${action.kind} ${words.join(" ")}`;
}
