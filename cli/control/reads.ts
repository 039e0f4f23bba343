/** The read side of the control API, by path: one list for the control socket and the web. */
import { type ControlBackend, READS, type Read, type Replies } from "./api.ts";

/** What reads need of the daemon. */
export type ReadBackend = Pick<ControlBackend, "status" | Read>;

const READERS: { readonly [Name in Read]: (backend: ReadBackend) => Replies[Name] } = {
  peers: (backend) => ({ peers: backend.peers() }),
  connections: (backend) => ({ connections: backend.connections() }),
  targets: (backend) => ({ targets: backend.targets() }),
  networks: (backend) => ({ networks: backend.networks() }),
  endpoints: (backend) => ({ endpoints: backend.endpoints() }),
  groups: (backend) => backend.groups(),
  ipam: (backend) => backend.ipam(),
  dns: (backend) => backend.dns(),
};

/** All paths that read. */
export const READ_PATHS: readonly string[] = [
  "/v1/status",
  ...READS.map((name) => `/v1/status/${name}`),
];

/** The answer to a read, without its `schema`; undefined when the path is not one of them. */
export function readAt(backend: ReadBackend, path: string): object | undefined {
  if (path === "/v1/status") return backend.status();
  const name = READS.find((candidate) => path === `/v1/status/${candidate}`);
  return name === undefined ? undefined : READERS[name](backend);
}
