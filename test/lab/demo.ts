/**
 * `npm run demo`: three hosts on this machine, each with its own Docker Engine, joined by tsweave;
 * every step is a real command, shown with its real output. Removes everything unless --keep.
 */
import { join } from "node:path";
import { MeshHosts } from "../lib/mesh-hosts.ts";
import { ROOT } from "../lib/sources.ts";
import { Lab } from "./lab.ts";

const LAB = "demo";
const HOSTS = ["h1", "h2", "h3"] as const;
const USAGE = "usage: npm run demo [-- --keep]";
const startedMs = Date.now();

function progress(text: string): void {
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1).padStart(5);
  process.stderr.write(`${seconds} s  ${text}\n`);
}

/** Shows a command as typed on a host, runs it there, shows what it prints. */
async function show(mesh: MeshHosts, host: string, command: string): Promise<void> {
  process.stdout.write(`\n${host}# ${command}\n`);
  const { stdout, stderr, code } = await mesh.exec(host, ["sh", "-c", command], 60_000);
  process.stdout.write(`${stdout}${stderr}`);
  if (code !== 0) throw new Error(`on ${host}: ${command}: exit code ${code}`);
}

/** Makes `tsweave` a command on each host, as an installation would. */
async function install(mesh: MeshHosts): Promise<void> {
  const link = `mkdir -p /run/bin && ln -s ${join(ROOT, "dist/tsweave.js")} /run/bin/tsweave`;
  await Promise.all(HOSTS.map((host) => mesh.ok(host, ["sh", "-c", link])));
}

async function walk(mesh: MeshHosts): Promise<void> {
  await install(mesh);
  const [a1, a2, a3] = HOSTS.map((host) => mesh.address(host));
  progress("launching tsweave on each host, with the others as peers");
  await show(mesh, "h1", `tsweave launch ${a2} ${a3}`);
  await show(mesh, "h2", `tsweave launch ${a1} ${a3}`);
  await show(mesh, "h3", `tsweave launch ${a1} ${a2}`);
  progress("starting containers with plain docker run");
  const serve = "'mkdir /www; hostname > /www/index.html; httpd -f -h /www'";
  const run = "docker run -d --net tsweave --stop-timeout 1";
  await show(mesh, "h1", `${run} --name web -h web busybox sh -c ${serve}`);
  await show(mesh, "h2", `${run} --name db -h db busybox sh -c ${serve}`);
  await show(mesh, "h3", `${run} --name client busybox sleep 600`);
  progress("one address each, of one flat subnet");
  for (const [host, name] of [
    ["h1", "web"],
    ["h2", "db"],
    ["h3", "client"],
  ] as const) {
    await show(mesh, host, `docker exec ${name} ip -4 -o addr show eth0`);
  }
  progress("by name, across hosts, with no --dns flag");
  await show(mesh, "h3", "docker exec client ping -c 2 web");
  await show(mesh, "h3", "docker exec client nslookup db");
  await show(mesh, "h3", "docker exec client wget -qO- http://web/");
  await show(mesh, "h2", "docker exec db wget -qO- http://web.tsweave/");
  progress("the outside, through docker_gwbridge and NAT");
  await show(mesh, "h3", "docker exec client ip route");
  await show(mesh, "h3", "docker exec client wget -qO- http://outside.example/");
  progress("what each host knows");
  await show(mesh, "h1", "tsweave status");
  await show(mesh, "h1", "tsweave status endpoints");
}

async function main(): Promise<void> {
  // A reader that has seen enough (`| head`) must not keep the hosts from being removed.
  process.stdout.on("error", () => undefined);
  const args = process.argv.slice(2);
  const wrong = args.find((arg) => arg !== "--keep");
  if (wrong !== undefined) {
    process.stderr.write(`demo: unknown argument ${wrong}\n${USAGE}\n`);
    process.exitCode = 2;
    return;
  }
  const keep = args.includes("--keep");
  progress("making three hosts, each with its own Docker Engine");
  const mesh = new MeshHosts(await Lab.up({ name: LAB, hosts: HOSTS, keep, replace: true }));
  const stop = (): void => {
    progress("interrupted: removing everything");
    mesh.lab
      .down()
      .catch((error: unknown) => process.stderr.write(`demo: ${String(error)}\n`))
      .finally(() => process.exit(130));
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  let done = false;
  try {
    await walk(mesh);
    done = true;
  } finally {
    if (done && keep) {
      progress("done; the hosts are still up. Enter one (docker, tsweave), or remove all:");
      process.stdout.write(`\n  npm run lab -- --name ${LAB} exec h1 sh\n`);
      process.stdout.write(`  npm run lab -- --name ${LAB} down\n`);
    } else {
      progress("removing everything");
      await mesh.lab.down();
      if (done) progress("done");
    }
  }
}

await main();
