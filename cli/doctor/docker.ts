/** The Docker Engine: does it answer, can it be served, do its networks leave the range alone. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { overlaps, parseCidr } from "../../ipalloc/index.ts";
import { messageOf } from "../../mesh/index.ts";
import { isRecord } from "../control/error-body.ts";
import { type Finding, findings } from "./finding.ts";
import type { Host } from "./host.ts";
import { answers } from "./software.ts";
import { swarmFindings } from "./swarm.ts";

const DEADLINE_MS = 2000;
const REPLY_BYTES_MAX = 16 * 1024 * 1024;
const OLDEST = [20, 10] as const;
/** Where the engine also looks for plugins, before it asks the socket. */
const SPECS = ["/etc/docker/plugins", "/usr/lib/docker/plugins"].flatMap((folder) =>
  ["spec", "json"].map((kind) => join(folder, `tsweave.${kind}`)),
);

export async function checkDocker(host: Host): Promise<Finding[]> {
  const { ok, fail } = findings("docker");
  const { config, daemon } = host;
  if (!config.docker) return [ok("off (--no-docker)")];
  let about: Readonly<Record<string, unknown>>;
  let networks: unknown;
  try {
    const [version, info] = await Promise.all([
      ask(config.dockerSocket, "/version"),
      ask(config.dockerSocket, "/info"),
    ]);
    about = { ...(isRecord(info) ? info : {}), ...(isRecord(version) ? version : {}) };
    networks = await ask(config.dockerSocket, "/networks");
  } catch (error) {
    const text = `Docker does not answer on ${config.dockerSocket}: ${messageOf(error)}`;
    return [fail(text, "systemctl status docker; or --docker-socket, --no-docker")];
  }
  const version = String(about.Version ?? "?");
  const restore = about.LiveRestoreEnabled === true ? "live-restore on" : "live-restore off";
  const found = [versionFinding(version, restore)];
  for (const { name, subnet } of foreignSubnets(networks)) {
    if (!overlaps(parseCidr(subnet), parseCidr(config.ipallocRange))) continue;
    const text = `Docker network ${name} (${subnet}) overlaps ${config.ipallocRange}`;
    found.push(fail(text, `docker network rm ${name}, or launch with another --ipalloc-range`));
  }
  const own = { vxlanPort: config.vxlanPort, networks: daemon?.networks ?? [] };
  found.push(...swarmFindings(about, networks, own));
  return found;
}

/** The plugin's socket is served; nothing else claims the plugin's name. */
export async function checkPlugin({ daemon, config }: Host): Promise<Finding[]> {
  const { ok, fail, warn } = findings("plugin");
  if (!config.docker) return [];
  const found = SPECS.filter((path) => existsSync(path)).map((path) =>
    warn(`${path} may send Docker elsewhere than to the daemon's socket`, `look into it, or rm it`),
  );
  const path = join(config.pluginDir, "tsweave.sock");
  const served = await answers(path);
  if (served === true) return [ok(`${path} is served`), ...found];
  if (served === undefined) {
    if (daemon === undefined) return [ok("no socket, as no daemon runs"), ...found];
    return [fail(`${path} is not there`, "tsweave stop, then tsweave launch"), ...found];
  }
  const repair = { what: `removed ${path}`, run: () => rm(path, { force: true }) };
  const text = `${path} is stale: it delays Docker by 15 s at each look`;
  const next = daemon === undefined ? "tsweave doctor --fix, or tsweave launch" : "tsweave logs";
  return [daemon === undefined ? fail(text, next, repair) : fail(text, next), ...found];
}

function versionFinding(version: string, restore: string): Finding {
  const { ok, fail } = findings("docker");
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isOld = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
  if (!isOld) return ok(`engine ${version}, ${restore}`);
  return fail(`engine ${version} is older than 20.10`, "upgrade Docker");
}

/** With a managed plugin the driver has its tag. */
function isOwnDriver(driver: unknown): boolean {
  return typeof driver === "string" && /^tsweave(:|$)/.test(driver);
}

function foreignSubnets(networks: unknown): { name: string; subnet: string }[] {
  return (Array.isArray(networks) ? networks : []).flatMap((network: unknown) => {
    if (!isRecord(network) || isOwnDriver(network.Driver)) return [];
    const ipam = isRecord(network.IPAM) ? network.IPAM.Config : undefined;
    return (Array.isArray(ipam) ? ipam : []).flatMap((row: unknown) => {
      const subnet = isRecord(row) ? row.Subnet : undefined;
      const isV4 = typeof subnet === "string" && /^[0-9.]+\/[0-9]+$/.test(subnet);
      return isV4 ? [{ name: String(network.Name), subnet }] : [];
    });
  });
}

/** One GET of the engine's API. @throws Error */
export async function ask(socketPath: string, path: string): Promise<unknown> {
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const text = await new Promise<string>((resolve, reject) => {
    const call = request({ socketPath, path, agent: false, signal }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (piece: string) => {
        body += piece;
        if (body.length > REPLY_BYTES_MAX) response.destroy(new Error("the answer is too long"));
      });
      response.once("end", () => resolve(body)).once("error", reject);
    });
    call.once("error", (error) => {
      reject(signal.aborted ? new Error(`no answer within ${DEADLINE_MS} ms`) : error);
    });
    call.end();
  });
  return JSON.parse(text);
}
