/** Questions over the simulated links: request and answer can each be lost. */
import {
  asTsweaveError,
  type Cancel,
  decodeWire,
  encodeWire,
  type PeerId,
  type Rpc,
  TsweaveError,
  type WireValue,
} from "../../../mesh/index.ts";
import type { SimHost, SimMesh } from "./sim-mesh.ts";

type Handle = (from: PeerId, body: WireValue) => Promise<WireValue>;

export class SimRpc implements Rpc {
  readonly #mesh: SimMesh;
  readonly #host: SimHost;
  readonly #services = new Map<string, Handle>();

  #deaf = false;

  constructor(mesh: SimMesh, host: SimHost) {
    this.#mesh = mesh;
    this.#host = host;
  }

  /** From now on answers to this host's questions are lost, the questions are not. */
  dropAnswers(): void {
    this.#deaf = true;
  }

  serve(service: string, handle: Handle): Cancel {
    this.#services.set(service, handle);
    return () => this.#services.delete(service);
  }

  handler(service: string): Handle | undefined {
    return this.#services.get(service);
  }

  call(peer: PeerId, service: string, body: WireValue, deadlineMs: number): Promise<WireValue> {
    const mesh = this.#mesh;
    const target = mesh.hosts.find(({ id }) => id === peer);
    const asker = this.#host;
    const bytes = encodeWire(body);
    return new Promise((resolve, reject) => {
      const cancel = mesh.clock.timer("sim-deadline", deadlineMs, () =>
        reject(new TsweaveError("TIMED_OUT", "did not answer in time")),
      );
      if (target === undefined) return;
      mesh.ask(asker, target, () => {
        const served = target.process?.rpc;
        const handle = served?.handler(service);
        if (handle === undefined) return;
        const back = (act: () => void) => {
          if (target.process?.rpc !== served || this.#deaf) return;
          mesh.deliver(target, asker, () => {
            cancel();
            act();
          });
        };
        handle(asker.id, decodeWire(bytes)).then(
          (reply) => back(() => resolve(decodeWire(encodeWire(reply)))),
          (error: unknown) => back(() => reject(asTsweaveError(error))),
        );
      });
    });
  }
}
