/** What the marked packets from A to B say, with the counters at B's end. Pure. */
import { milliseconds } from "../render/human.ts";
import type { Facts, ProbeFacts } from "./facts.ts";
import { judge, type Step } from "./step.ts";

/** Of ten packets so many count as arrived; a few may be B's own, to others. */
const COUNTED_MIN = 5;

/** The last step; undefined when there was nothing to send to. */
export function probeStep(facts: Facts): Step | undefined {
  const { probe, target, from } = facts;
  if (target === null) return undefined;
  const { ok, failed } = judge("probe", probe);
  if (probe === null) {
    const why = facts.plug?.error ?? "its namespace is not known";
    return failed("NOT_PROBED", `no packet could be sent from ${from}: ${why}`, "tsweave netns");
  }
  const { icmp, mtuBytes, tcp } = probe;
  if (tcp !== null) return tcpStep(facts, probe, tcp);
  if (icmp.error !== null) return silence(facts, probe, icmp.error);
  const { largestBytes, rttMs } = icmp;
  if (largestBytes !== null && largestBytes >= mtuBytes) {
    return ok(
      `${facts.to} answers in ${milliseconds(rttMs)}, packets of ${largestBytes} bytes pass`,
    );
  }
  const most = largestBytes === null ? "only small packets pass" : `at most ${largestBytes} bytes`;
  const text = `${facts.to} answers, but ${most}, of an MTU of ${mtuBytes}`;
  return failed("PACKETS_CUT", text, "launch all hosts with a smaller --mtu, see tsweave doctor");
}

function tcpStep(facts: Facts, probe: ProbeFacts, tcp: NonNullable<ProbeFacts["tcp"]>): Step {
  const { ok, failed } = judge("probe", probe);
  const { to, tcpPort } = facts;
  const port = `tcp/${tcpPort}`;
  if (tcp.outcome === "open") return ok(`${to} accepts ${port} in ${milliseconds(tcp.tookMs)}`);
  if (tcp.outcome === "refused") {
    const text = `${to} is reached, and nothing listens there on ${port}`;
    return failed("PORT_CLOSED", text, `start it in ${to}, listening on 0.0.0.0 and not 127.0.0.1`);
  }
  if (probe.icmp.error === null) {
    const text = `${to} answers pings, and not ${port}: a firewall in it, or a full queue`;
    return failed("PORT_SILENT", text, `look at nft list ruleset inside ${to}`);
  }
  return silence(facts, probe, tcp.error ?? "no answer");
}

/** Nothing came back: how far did it get? */
function silence(facts: Facts, probe: ProbeFacts, error: string): Step {
  const { failed } = judge("probe", { ...probe, end: facts.end });
  const { to, from, peer, end, target, underlay } = facts;
  const host = peer?.name ?? "this host";
  const back = peer === null ? `tsweave explain ${to} ${from}` : `on ${host}: tsweave explain`;
  const isOutside = target?.endpoint == null;
  if (isOutside || end?.delivered == null || end.answered === null) {
    const next = isOutside ? `tsweave netns ${from} -- ip route` : `${back}, with A and B swapped`;
    return failed("NO_ANSWER", `nothing comes back from ${to}: ${error}`, next);
  }
  if (end.delivered < COUNTED_MIN) {
    if (peer === null || underlay === null) {
      const text = `packets from ${from} do not get through br0 to ${to}`;
      return failed("BRIDGE_BLOCKED", text, "tsweave doctor");
    }
    const udp = `UDP ${facts.overlay?.vxlanPort ?? 4789}`;
    const text = `packets do not arrive at ${to} on ${host}: ${udp} does not get through`;
    const next = `let ${udp} pass to ${underlay.address}: nft list ruleset on both hosts`;
    return failed("TUNNEL_BLOCKED", text, next);
  }
  if (end.answered < COUNTED_MIN) {
    const text = `packets arrive at ${to}, and it answers none: a firewall in it, or it is stopped`;
    return failed("TARGET_SILENT", text, `look at ip addr and nft list ruleset inside ${to}`);
  }
  const text = `packets arrive at ${to}, and its answers do not come back`;
  return failed("REPLY_LOST", text, `${back}, with A and B swapped`);
}
