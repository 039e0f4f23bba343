/**
 * dns as the Docker driver knows it: waits for sandboxes that engines before 28 make only after
 * Join has been answered.
 *
 * Law: a Leave during that wait ends it: nothing is attached to a sandbox that was given up.
 */
import { type DnsService, restoreSandbox, waitForSandbox } from "../../dns/index.ts";
import { type Clock, TIMES } from "../../mesh/index.ts";
import type { SandboxDns } from "../../overlay/index.ts";

/**
 * With `enabled` false (--no-dns) every sandbox stays on Docker's resolver, and goes back to it
 * where a former life, killed, has left its redirect.
 */
export function sandboxDns(dns: DnsService, clock: Clock, enabled: boolean): SandboxDns {
  /** BOUNDED: endpoints of this host between Join and Leave. */
  const wanted = new Map<string, object>();
  return {
    attach: async ({ key, endpointId, network, internal, links, waitFor }) => {
      if (!enabled) {
        if (!waitFor) await restoreSandbox(key);
        return;
      }
      const ticket = {};
      wanted.set(endpointId, ticket);
      if (waitFor) await waitForSandbox(key, TIMES.sandboxWaitMs, clock);
      if (wanted.get(endpointId) !== ticket) return;
      await dns.attach({ key, endpointId, network, internal, links: [...links] });
      if (!wanted.has(endpointId)) await dns.detach(endpointId);
    },
    detach: async (endpointId) => {
      wanted.delete(endpointId);
      await dns.detach(endpointId);
    },
    refresh: async () => await dns.refresh(),
  };
}
