/**
 * Steps → text for `ip -batch -` and `bridge -batch -`, so that one process applies hundreds of
 * changes and a dry run can print exactly what would be done.
 *
 * Law: one step is one line, so that "Command failed -:N" names the step that failed; a word that
 * is not plain (a space, a quote, a newline) never reaches a batch.
 */
import { TsweaveError } from "../mesh/index.ts";
import { inSlices, type Sliced, whole } from "./slices.ts";
import { BRIDGE, DIRECT, type Step, VXLAN } from "./state.ts";

export interface Batch<S = Step> {
  /** `sysctl` lines are `key=0 …`, to be set where they exist; an `nft` line is a whole script. */
  readonly tool: "ip" | "bridge" | "sysctl" | "nft";
  /** Namespace the tool works in, a name or a path; undefined: the host's. */
  readonly netns: string | undefined;
  readonly lines: readonly string[];
  /** The step behind each line. */
  readonly steps: readonly S[];
  /** Table entries only: may run beside the neighbouring batches that say so too. */
  readonly entriesOnly: boolean;
}

/** bridge-nf-call-*: on in every new namespace, and every bridged frame pays for it. */
export const FILTER_KEYS = ["iptables", "ip6tables", "arptables"].map(
  (table) => `net.bridge.bridge-nf-call-${table}`,
);

/**
 * Groups consecutive steps of one tool and namespace into batches, keeping their order.
 * `hostNetns` is a path or name by which `ip` finds the host's namespace from inside another one.
 */
export function render(steps: readonly Step[], hostNetns: string): Batch[] {
  return whole(renderInSlices(steps, hostNetns));
}

/** `render` for as many steps as there are. */
export function renderInSlices(steps: readonly Step[], hostNetns: string): Sliced<Batch[]> {
  return batchesInSlices(steps, (step) => renderStep(step, hostNetns), isEntry);
}

/** The same for steps of any kind, with the line of each. */
export function batchesOf<S>(
  steps: readonly S[],
  lineOf: (step: S) => Line,
  isEntryStep: (step: S) => boolean,
): Batch<S>[] {
  return whole(batchesInSlices(steps, lineOf, isEntryStep));
}

function* batchesInSlices<S>(
  steps: readonly S[],
  lineOf: (step: S) => Line,
  isEntryStep: (step: S) => boolean,
): Sliced<Batch<S>[]> {
  const batches: Batch<S>[] = [];
  yield* inSlices(steps, (step) => {
    const line = lineOf(step);
    const last = batches.at(-1);
    const entriesOnly = isEntryStep(step);
    const joins = last?.tool === line.tool && last.netns === line.netns;
    if (last !== undefined && joins && last.entriesOnly === entriesOnly) {
      (last.lines as string[]).push(line.text);
      (last.steps as S[]).push(step);
    } else {
      const { tool, netns, text } = line;
      batches.push({ tool, netns, lines: [text], steps: [step], entriesOnly });
    }
  });
  return batches;
}

/** Batches as a person would type them, for dry runs and logs. */
export function batchText(batches: readonly Batch<unknown>[]): string {
  const blocks = batches.map(({ tool, netns, lines }) => {
    const where = netns === undefined ? "" : ` -n ${netns}`;
    const head =
      tool === "sysctl" ? `# sysctl in ${netns ?? "host"}` : `# ${tool}${where} -batch -`;
    return [head, ...lines].join("\n");
  });
  return blocks.join("\n");
}

/** One line for one tool in one namespace. */
export interface Line {
  readonly tool: Batch["tool"];
  readonly netns: string | undefined;
  readonly text: string;
}

function isEntry(step: Step): boolean {
  return /^(neigh|forward|copy|steer)-/.test(step.kind);
}

function renderStep(step: Step, hostNetns: string): Line {
  for (const value of Object.values(step)) {
    if (typeof value === "string" && !/^[\w.:/-]+$/.test(value)) {
      throw new TsweaveError("INTERNAL", `${step.kind}: "${value}" is not a plain word`);
    }
  }
  if (step.kind === "netns-add" || step.kind === "netns-del") {
    const verb = step.kind === "netns-add" ? "add" : "del";
    return { tool: "ip", netns: undefined, text: `netns ${verb} ${step.netns}` };
  }
  if (step.kind === "host-link-del") {
    return { tool: "ip", netns: undefined, text: `link del dev ${step.device}` };
  }
  if (step.kind === "filter-off") {
    const text = FILTER_KEYS.map((key) => `${key}=0`).join(" ");
    return { tool: "sysctl", netns: step.netns, text };
  }
  const bridge = bridgeText(step);
  if (bridge !== undefined) return { tool: "bridge", netns: step.netns, text: bridge };
  return { tool: "ip", netns: step.netns, text: ipText(step, hostNetns) };
}

function bridgeText(step: Step): string | undefined {
  switch (step.kind) {
    case "forward-put":
      return `fdb replace ${step.mac} dev ${VXLAN} dst ${step.vtep} self permanent`;
    case "forward-del":
      return `fdb del ${step.mac} dev ${VXLAN} dst ${step.vtep} self`;
    case "copy-put":
      // `replace` is refused for a MAC with several destinations; one that is there is no error.
      return `fdb append ${step.mac} dev ${VXLAN} dst ${step.vtep} self permanent`;
    case "copy-del":
      return `fdb del ${step.mac} dev ${VXLAN} dst ${step.vtep} self`;
    case "steer-put":
      // Sticky: a container that sends with that MAC does not draw its frames to its own port.
      return `fdb replace ${step.mac} dev ${steeredTo(step)} master static sticky`;
    case "steer-del":
      return `fdb del ${step.mac} dev ${steeredTo(step)} master`;
    default:
      return undefined;
  }
}

function steeredTo({ direct }: { readonly direct?: true }): string {
  return direct === true ? DIRECT : VXLAN;
}

/**
 * A kernel without IGMP snooping ignores the words from mcast_snooping on. The table is larger than
 * usual: when it is full the kernel stops snooping, and one container can fill it.
 */
const BRIDGE_TYPE =
  "type bridge stp_state 0 mcast_snooping 1 mcast_query_use_ifaddr 1 mcast_hash_max 16384 " +
  "mcast_query_response_interval 100";

/**
 * Only once the bridge has the response interval (1 s, in hundredths): from it the kernel reckons,
 * at this moment, how long groups go to every port because members have not answered yet.
 */
const QUERIER = "mcast_querier 1";

const IPV6 = " local :: udp6zerocsumrx";

function ipText(step: Step, hostNetns: string): string {
  switch (step.kind) {
    case "loopback-up":
      return "link set dev lo up";
    case "bridge-add":
      return `link add ${BRIDGE} mtu ${step.mtuBytes} address ${step.mac} ${BRIDGE_TYPE}`;
    case "bridge-set": {
      const shape = `mtu ${step.mtuBytes} address ${step.mac} up`;
      return `link set dev ${BRIDGE} ${shape} ${BRIDGE_TYPE} ${QUERIER}`;
    }
    case "address-add":
      return `addr replace ${step.cidr} dev ${BRIDGE}`;
    case "address-del":
      return `addr del ${step.cidr} dev ${BRIDGE}`;
    case "vxlan-add":
      return vxlanText(step, hostNetns);
    case "port-set":
      return `link set dev ${step.device} mtu ${step.mtuBytes} master ${BRIDGE} up`;
    case "learning-off":
      return `link set dev ${VXLAN} type bridge_slave learning off mcast_router 2`;
    case "veth-add":
      return (
        `link add ${step.overlayEnd} mtu ${step.mtuBytes} master ${BRIDGE} up type veth ` +
        `peer name ${step.containerEnd} mtu ${step.mtuBytes} address ${step.mac} netns ${hostNetns}`
      );
    case "port-move":
      return `link set dev ${step.device} netns ${step.to}`;
    case "link-del":
      return `link del dev ${step.device}`;
    case "neigh-put":
      return `neigh replace ${step.ip} lladdr ${step.mac} dev ${VXLAN} nud permanent`;
    case "neigh-del":
      return `neigh del ${step.ip} dev ${VXLAN}`;
    default:
      throw new TsweaveError("INTERNAL", `${step.kind} is not a step for ip`);
  }
}

/**
 * The socket stays in the namespace named by link-netns: the host's, where the underlay is. `local
 * ::` makes it one for IPv6, which no dump shows; udp6zerocsumrx (RFC 6935) is what tells it.
 */
function vxlanText(step: Extract<Step, { kind: "vxlan-add" }>, hostNetns: string): string {
  return (
    `link add ${VXLAN} mtu ${step.mtuBytes} link-netns ${hostNetns} type vxlan id ${step.vni} ` +
    `dstport ${step.port} nolearning proxy l2miss l3miss${step.underlay === 6 ? IPV6 : ""}`
  );
}
