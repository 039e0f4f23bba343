/**
 * What an endpoint needs beyond its veth pair, as steps: its end moved into the target, named,
 * addressed; the second pair to tsweave_gw, the bridge, its NAT. Pure; rendered to the same
 * batches as the overlay's own steps.
 *
 * Law: in the host's namespace only devices and tables named by us are touched. Each step can be
 * repeated.
 */
import { TsweaveError } from "../../mesh/index.ts";
import { containerEnd } from "../model.ts";
import { type Batch, batchesOf, type Line } from "../render.ts";
import type { ObservedLink } from "../state.ts";
import type { NamespaceView } from "./choice.ts";
import { gatewayOf } from "./gateway.ts";
import type { Attachment } from "./model.ts";

/** Linux takes 15 characters: tsweave_gwbridge would be one too many. */
export const GATEWAY_BRIDGE = "tsweave_gw";
export const NAT_TABLE = "ip tsweave_gw";

/** `at`: path of the namespace to work in; undefined: the host's. */
export type EndStep =
  | {
      readonly kind: "end-move";
      readonly device: string;
      readonly target: string;
      readonly name: string;
    }
  | { readonly kind: "end-rename"; readonly device: string; readonly name: string }
  | { readonly kind: "end-up"; readonly at: string | undefined; readonly device: string }
  | {
      readonly kind: "end-address";
      readonly at: string | undefined;
      readonly device: string;
      readonly cidr: string;
    }
  | {
      readonly kind: "default-route";
      readonly at: string;
      readonly device: string;
      readonly via: string;
    }
  | { readonly kind: "group-route"; readonly at: string; readonly device: string }
  | { readonly kind: "gateway-bridge-add" }
  | {
      readonly kind: "gateway-pair";
      readonly device: string;
      readonly target: string;
      readonly name: string;
    }
  | { readonly kind: "gateway-port"; readonly device: string }
  | { readonly kind: "gateway-isolate"; readonly device: string }
  | { readonly kind: "host-end-del"; readonly device: string }
  | { readonly kind: "nat-put"; readonly subnet: string }
  | { readonly kind: "nat-del" }
  | { readonly kind: "forwarding-on" };

/** Host end of an attachment's pair to tsweave_gw. */
export function gatewayEnd(id: string): string {
  return `tswg${id.slice(0, 7)}`;
}

/** Steps that take the waiting container end into the target and make it usable. */
export function endSteps(attachment: Attachment, prefix: number): EndStep[] {
  const { id, target, device, ip } = attachment;
  const waiting = containerEnd(id);
  const isHost = target.kind === "host";
  const at = isHost ? undefined : target.path;
  const steps: EndStep[] = isHost
    ? [{ kind: "end-rename", device: waiting, name: device }]
    : [{ kind: "end-move", device: waiting, target: target.path, name: device }];
  steps.push({ kind: "end-address", at, device, cidr: `${ip}/${prefix}` });
  steps.push({ kind: "end-up", at, device });
  // The host's own multicast goes where its administrator leads it.
  if (at !== undefined) steps.push({ kind: "group-route", at, device });
  if (attachment.resolver === "own") steps.push({ kind: "end-up", at, device: "lo" });
  return steps;
}

/** One target that is gone must not keep the bridge from the others, so its steps are apart. */
export interface GatewaySteps {
  readonly bridge: readonly EndStep[];
  /** By the attachment's id; of those that need some. */
  readonly pairs: ReadonlyMap<string, readonly EndStep[]>;
}

/**
 * Steps that bring the bridge, its NAT and the pairs of all attachments to what they should be,
 * from what the host's namespace shows. Without an attachment that uses it the bridge goes.
 */
export function gatewaySteps(
  attachments: readonly Attachment[],
  host: Pick<NamespaceView, "links">,
): GatewaySteps {
  const gateway = gatewayOf(attachments);
  const bridge = host.links.get(GATEWAY_BRIDGE);
  const users = attachments.filter(({ gatewayCidr }) => gatewayCidr !== "");
  const steps: EndStep[] = strayEnds(users, host);
  if (gateway === undefined) {
    const device = GATEWAY_BRIDGE;
    if (bridge !== undefined) steps.push({ kind: "host-end-del", device }, { kind: "nat-del" });
    return { bridge: steps, pairs: new Map() };
  }
  if (bridge === undefined) steps.push({ kind: "gateway-bridge-add" });
  const { cidr, subnet, ip } = gateway;
  if (bridge?.cidrs.includes(cidr) !== true) {
    steps.push({ kind: "end-address", at: undefined, device: GATEWAY_BRIDGE, cidr });
  }
  if (bridge?.up !== true) steps.push({ kind: "end-up", at: undefined, device: GATEWAY_BRIDGE });
  steps.push({ kind: "nat-put", subnet }, { kind: "forwarding-on" });
  const pairs = new Map<string, readonly EndStep[]>();
  for (const user of users) {
    const own = pairSteps(user, host.links.get(gatewayEnd(user.id)), ip);
    if (own.length > 0) pairs.set(user.id, own);
  }
  return { bridge: steps, pairs };
}

function pairSteps(user: Attachment, link: ObservedLink | undefined, via: string): EndStep[] {
  const device = gatewayEnd(user.id);
  const isRight = link?.master === GATEWAY_BRIDGE && link.up;
  const port: EndStep[] = isRight
    ? []
    : [
        { kind: "gateway-port", device },
        { kind: "gateway-isolate", device },
      ];
  if (link !== undefined) return port;
  const { gatewayDevice: name, gatewayCidr: cidr } = user;
  const at = user.target.path;
  return [
    { kind: "gateway-pair", device, target: at, name },
    ...port,
    { kind: "end-address", at, device: name, cidr },
    { kind: "end-up", at, device: name },
    { kind: "default-route", at, device: name, via },
  ];
}

/** Pairs of attachments that are no more. */
function strayEnds(users: readonly Attachment[], host: Pick<NamespaceView, "links">): EndStep[] {
  const wanted = new Set(users.map(({ id }) => gatewayEnd(id)));
  const steps: EndStep[] = [];
  for (const device of host.links.keys()) {
    if (!/^tswg[0-9a-f]{7}$/.test(device) || wanted.has(device)) continue;
    steps.push({ kind: "host-end-del", device });
  }
  return steps;
}

/** The batches of end steps. @throws TsweaveError INTERNAL for a word that is not plain. */
export function renderEnds(steps: readonly EndStep[]): Batch<EndStep>[] {
  return batchesOf(steps, lineOf, () => false);
}

function lineOf(step: EndStep): Line {
  for (const value of Object.values(step)) {
    if (value !== undefined && !/^[\w.:/@+-]+$/.test(value)) {
      throw new TsweaveError("INTERNAL", `${step.kind}: "${value}" is not a plain word`);
    }
  }
  if (step.kind === "nat-put") return { tool: "nft", netns: undefined, text: natText(step.subnet) };
  if (step.kind === "nat-del") return { tool: "nft", netns: undefined, text: NAT_GONE };
  if (step.kind === "forwarding-on") {
    return { tool: "sysctl", netns: undefined, text: "net.ipv4.ip_forward=1" };
  }
  const netns = "at" in step ? step.at : undefined;
  return { tool: "ip", netns, text: ipText(step) };
}

type IpStep = Exclude<EndStep, { kind: "nat-put" | "nat-del" | "forwarding-on" }>;

function ipText(step: IpStep): string {
  switch (step.kind) {
    case "end-move":
      return `link set dev ${step.device} netns ${step.target} name ${step.name}`;
    case "end-rename":
      return `link set dev ${step.device} name ${step.name}`;
    case "end-up":
      return `link set dev ${step.device} up`;
    case "end-address":
      return `addr replace ${step.cidr} dev ${step.device}`;
    case "default-route":
      return `route replace default via ${step.via} dev ${step.device}`;
    case "group-route":
      return `route replace 224.0.0.0/4 dev ${step.device} metric ${groupMetric(step.device)}`;
    case "gateway-bridge-add":
      return `link add ${GATEWAY_BRIDGE} type bridge stp_state 0 mcast_snooping 0`;
    case "gateway-pair":
      return `link add ${step.device} type veth peer name ${step.name} netns ${step.target}`;
    case "gateway-port":
      return `link set dev ${step.device} master ${GATEWAY_BRIDGE} up`;
    case "gateway-isolate":
      return `link set dev ${step.device} type bridge_slave isolated on`;
    case "host-end-del":
      return `link del dev ${step.device}`;
  }
}

/**
 * Of several networks in a target the first device leads, and Docker's, which has no metric, before
 * all; a metric of its own keeps each route from replacing another.
 */
function groupMetric(device: string): number {
  const number = /\d{1,3}$/.exec(device)?.[0] ?? "0";
  return 1000 + Number(number);
}

/** Works whether the table was there or not; nft 1.0.6 has no `destroy`. */
const NAT_GONE = `table ${NAT_TABLE}\ndelete table ${NAT_TABLE}\n`;

function natText(subnet: string): string {
  return `${NAT_GONE}table ${NAT_TABLE} {
  chain out {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${subnet} oifname != "${GATEWAY_BRIDGE}" masquerade
  }
}
`;
}
