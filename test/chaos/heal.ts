/** Ends every fault that is left, so that what is found wrong afterwards is the product's. */
import { until } from "../lab/exec.ts";
import { STATE, type World, watcher } from "./world.ts";

/** Resolves when each host has power, cable, engine, daemon and its long-lived container. */
export async function healAll(world: World): Promise<void> {
  const { lab } = world.mesh;
  await lab.heal();
  for (const host of world.hosts) {
    await lab.loss(host, 0);
    await lab.mtu(host, 1500);
    await lab.rate(host, 0);
    await lab.link(host, "up");
  }
  await Promise.all(world.hosts.map((host) => healHost(world, host)));
}

async function healHost(world: World, name: string): Promise<void> {
  const host = world.host(name);
  if (!host.isOn) await world.boot(name);
  await world.mesh.ok(name, ["rm", "-f", `${STATE}/fill`]);
  await world.setClock(name, 0);
  const pid = await world.daemonPid(name);
  if (pid === undefined) await world.launch(name);
  else await world.mesh.ok(name, ["kill", "-CONT", String(pid)]);
  if ((await world.running(name)) === undefined) {
    const start = async (): Promise<boolean> => {
      await host.startEngine();
      return true;
    };
    // One that still starts is waited for; it may have begun before its plugin was there.
    await start().catch(start);
  }
  await until(
    `${watcher(name)} to run again`,
    async () => {
      const { code } = await world.mesh.exec(name, ["docker", "start", watcher(name)], 60_000);
      return code === 0;
    },
    { timeoutMs: 60_000, everyMs: 500 },
  );
}
