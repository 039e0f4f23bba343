/** What status sees of a host that is well. */
import type { Observations } from "../../../cli/wiring/problems.ts";
import type { DockerStatus, ReconcileStatus } from "../../../overlay/index.ts";

const KERNEL: ReconcileStatus = {
  inSync: true,
  lastReconcileMs: 10,
  lastAtMs: 1,
  drift: 0,
  lastError: null,
  passes: 2,
  steps: 3,
  unplugged: [],
};
export const DOCKER: DockerStatus = {
  connected: true,
  lastSyncWallMs: 1,
  lastError: null,
  released: 0,
  adopted: 0,
  calls: {},
};
export const WELL: Observations = {
  cloned: false,
  twins: [],
  strangers: [],
  outdatedPassword: false,
  nowMs: 100_000,
  members: [],
  ports: { gossip: 6783, vxlan: 4789 },
  addresses: [],
  networks: [],
  underlay: [],
  kernel: KERNEL,
  dns: {
    domain: "tsweave.local",
    names: 0,
    sandboxes: [],
    counters: { answered: 0, forwarded: 0, rejected: 0, cached: 0, failed: 0, limited: 0 },
  },
  docker: DOCKER,
  endpoints: [],
  attachments: [],
  defaultNetwork: { name: "tsweave", subnet: "10.32.0.0/12", onEngine: true },
};
