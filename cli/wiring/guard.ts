/** The guard against VXLAN and gossip of containers, as long as the daemon lives and beyond. */
import { TIMES } from "../../mesh/index.ts";
import { HostGuard } from "../../overlay/index.ts";
import type { Base } from "./base.ts";

/** Puts the guard up and looks after it. It stays when the daemon stops: containers go on. */
export async function keepGuard({ config, clock, log, stops }: Base): Promise<void> {
  const guard = new HostGuard(
    { vxlan: config.vxlanPort, gossip: config.port },
    log.child({ part: "guard" }),
  );
  let isOver = false;
  let cancel = (): void => undefined;
  const look = async (): Promise<void> => {
    await guard.ensure();
    if (!isOver) cancel = clock.timer("guard", TIMES.reconcileIntervalMs, () => void look());
  };
  stops.add("guard", () => {
    isOver = true;
    cancel();
  });
  await look();
}
