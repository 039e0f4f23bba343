/**
 * `dns-add` and `dns-remove` in the daemon: what people ask for, checked and said in their words,
 * and this host's services as rows of the tables.
 */
import {
  type DnsService,
  EVERY_NETWORK,
  OutsideServices,
  outsideAddress,
  outsideName,
} from "../../dns/index.ts";
import { type Log, type Store, type Tables, TsweaveError } from "../../mesh/index.ts";
import { namesToWire } from "../../overlay/index.ts";
import type { ServiceChange } from "../control/api.ts";

interface ServicePorts {
  readonly dns: DnsService;
  readonly outside: OutsideServices;
}

/** Puts what this host held before into the tables, and what it is told from now on. */
export async function openServices(
  tables: Tables,
  store: Store,
  log: Log,
): Promise<OutsideServices> {
  return await OutsideServices.open({
    store,
    log,
    publish: (key, service) => {
      if (service === undefined) tables.remove("names", key);
      else {
        const { name, network, ip } = service;
        const row = { network, ip, names: [name], ports: [], isUnhealthy: false };
        tables.put("names", key, namesToWire(row));
      }
    },
  });
}

/** Resolves with the addresses that are new. @throws TsweaveError USAGE, NOT_FOUND. */
export async function addService(
  { dns, outside }: ServicePorts,
  domain: string,
  change: ServiceChange,
): Promise<readonly string[]> {
  const name = outsideName(change.name, domain);
  const ips = [...new Set(change.ips.map(outsideAddress))];
  if (ips.length === 0) throw new TsweaveError("USAGE", "a service needs an address");
  const { network = EVERY_NETWORK } = change;
  if (network !== EVERY_NETWORK && !dns.networks.has(network)) {
    const known = [...dns.networks].slice(0, 5).join(", ");
    throw new TsweaveError("NOT_FOUND", `the mesh has no network ${network}`, {
      hint: known === "" ? "see 'tsweave status networks'" : `it has ${known}`,
    });
  }
  const added = await outside.add(ips.map((ip) => ({ name, network, ip })));
  return added.map(({ ip }) => ip);
}

/** Resolves with the addresses that are gone. @throws TsweaveError USAGE, NOT_FOUND. */
export async function removeService(
  { outside }: ServicePorts,
  domain: string,
  change: ServiceChange,
): Promise<readonly string[]> {
  const name = outsideName(change.name, domain);
  const ips = change.ips.map(outsideAddress);
  const { network = EVERY_NETWORK } = change;
  const removed = await outside.remove(name, network, ips);
  if (removed.length > 0) return removed.map(({ ip }) => ip);
  const others = outside.list().filter((one) => one.name === name && one.network !== network);
  const where = network === EVERY_NETWORK ? "for all networks" : `on network ${network}`;
  throw new TsweaveError("NOT_FOUND", `this host has not added ${name} ${where}`, {
    hint: hintFor(others.map((one) => one.network)),
  });
}

function hintFor(networks: readonly string[]): string {
  const [network] = networks;
  if (network === undefined) return "'tsweave status dns' shows which peer has";
  if (network === EVERY_NETWORK) return "leave out --network: it was added for all networks";
  return `it was added with --network ${network}`;
}
