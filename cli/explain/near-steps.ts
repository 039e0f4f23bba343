/** Facts → steps on A's side: A itself, B's name and address, this host's devices. Pure. */
import type { Facts, OverlayFacts, SourceFacts } from "./facts.ts";
import { judge, type Step } from "./step.ts";

/** A is on this host, on a network. */
export function sourceStep({ from, source }: Facts, network: string | undefined): Step {
  const { ok, failed } = judge("source", source);
  const { endpoint, networks, elsewhere } = source;
  if (endpoint !== null) {
    const others = networks.length > 1 ? ` (on ${networks.join(", ")})` : "";
    const { kind, ip, network: own } = endpoint;
    return ok(`${from} is here, ${kind}, ${ip} on network ${own}${others}`);
  }
  if (networks.length > 0) {
    const text = `${from} is on ${networks.join(", ")}, not on network ${network}`;
    return failed("SOURCE_NOT_ON_NETWORK", text, "leave out --network, or connect it");
  }
  if (elsewhere !== null) {
    const text = `${from} is on ${elsewhere.peer}, not on this host`;
    return failed("SOURCE_ELSEWHERE", text, `run tsweave explain on ${elsewhere.peer}`);
  }
  const isHost = from === "host";
  const text = isHost ? "this host has no address of its own" : `nothing here is named ${from}`;
  return failed("SOURCE_UNKNOWN", text, isHost ? "tsweave expose" : "tsweave ps");
}

/** B's name answers A. */
export function nameStep(facts: Facts): Step | undefined {
  const { from, to, name, source } = facts;
  if (name === null) return undefined;
  const { ok, failed, unknown } = judge("name", name);
  const [first, ...more] = name.answers;
  if (first === undefined) {
    const [other] = name.elsewhere;
    if (other === undefined) {
      return failed("NAME_UNKNOWN", `nobody has the name ${to}`, "tsweave status dns");
    }
    const on = source.networks.join(", ");
    const text = `${to} is on network ${other.network}, ${from} only on ${on}`;
    return failed("NAME_ON_OTHER_NETWORK", text, connecting(source, other.network));
  }
  const rest = more.length > 0 ? `, one of ${name.answers.length} addresses` : "";
  const text = `${to} is ${first.ip} on network ${first.network}${rest}`;
  if (name.resolver === "own") return unknown(`${text}; ${from} asks a resolver of its own`);
  if (name.resolver === "lost") {
    const lost = `${text}, but the lookups of ${from} do not arrive at the daemon`;
    return failed("NAMES_UNANSWERED", lost, "tsweave status");
  }
  return ok(text);
}

/** The command that brings A onto a network. */
function connecting({ endpoint }: SourceFacts, network: string): string {
  if (endpoint === null || endpoint.kind === "host") return `tsweave expose --network ${network}`;
  const { kind, target } = endpoint;
  if (kind === "docker") return `docker network connect ${network} ${target}`;
  return `tsweave attach ${target} --network ${network}`;
}

/** Somebody has B's address, on a network of A. */
export function addressStep({ source, target }: Facts): Step | undefined {
  if (target === null) return undefined;
  const { ok, failed, unknown } = judge("address", target);
  const { ip, network, endpoint, otherNetwork, inSubnet } = target;
  if (endpoint !== null) {
    const { name, id, mac, peer, local } = endpoint;
    const where = local ? "this host" : peer;
    return ok(`${ip} is ${name || id.slice(0, 12)} on ${where}, ${mac}, network ${network}`);
  }
  if (otherNetwork !== null) {
    const text = `${ip} is ${otherNetwork.name} on network ${otherNetwork.network}`;
    const next = connecting(source, otherNetwork.network);
    return failed("ADDRESS_ON_OTHER_NETWORK", `${text}, not on ${network}`, next);
  }
  if (inSubnet === false) return unknown(`${ip} is outside of the mesh's networks`);
  const text = `nothing on any host has ${ip}: it has ended, or never was`;
  return failed("NO_ENDPOINT", text, "tsweave status endpoints");
}

/** Whose range the address is from, and that no two have it. */
export function rangeStep({ target }: Facts): Step | undefined {
  if (target === null || target.inSubnet === false) return undefined;
  const { ok, failed, unknown } = judge("range", target);
  const { ip, twins, rangeOwner, conflictWith, network } = target;
  const [twin] = twins;
  if (twin !== undefined) {
    const text = `${ip} is also ${twin.name} on ${twin.peer}, on network ${network}`;
    return failed("ADDRESS_TWICE", text, `restart one of the two, see tsweave status`);
  }
  if (conflictWith !== null) {
    const text = `${ip} is in use here, and ${conflictWith}'s by the records`;
    return failed("ADDRESS_TWICE", text, "tsweave status ipam");
  }
  if (rangeOwner === null) return unknown(`whose range ${ip} is from is not known here`);
  return ok(`${ip} is from ${rangeOwner}'s range, and nobody else has it`);
}

/** The network's namespace on this host and its two devices. */
export function overlayStep({ overlay }: Facts): Step | undefined {
  if (overlay === null) return undefined;
  const { ok, failed, unknown } = judge("overlay", overlay);
  const { netns, exists, error, bridge, vxlan, vni, vxlanPort } = overlay;
  if (netns === null) return unknown("the network's namespace is not known", "tsweave netns");
  const next = `tsweave netns; the daemon mends it by itself, else tsweave logs`;
  if (!exists) return failed("NAMESPACE_MISSING", `namespace ${netns} is not there`, next);
  if (error !== null) return failed("NAMESPACE_MISSING", error, next);
  const show = `ip -n ${netns} -d link; the daemon mends it by itself, else tsweave logs`;
  if (bridge?.up !== true) return failed("BRIDGE_DOWN", `br0 in ${netns} ${state(bridge)}`, show);
  if (vxlan?.up !== true) return failed("VXLAN_DOWN", `vxlan0 in ${netns} ${state(vxlan)}`, show);
  if (vxlan.master !== "br0") {
    return failed("VXLAN_DOWN", `vxlan0 in ${netns} is not plugged into br0`, show);
  }
  if (vni !== null && vxlan.vni !== vni) {
    return failed("VNI_DIFFERS", `vxlan0 has VNI ${vxlan.vni}, the network has ${vni}`, show);
  }
  if (vxlan.vxlanPort !== vxlanPort) {
    const text = `vxlan0 sends to UDP ${vxlan.vxlanPort}, --vxlan-port is ${vxlanPort}`;
    return failed("VXLAN_PORT_DIFFERS", text, show);
  }
  return ok(`${netns}: br0 and vxlan0 up, VNI ${vxlan.vni}, UDP ${vxlan.vxlanPort}`);
}

function state(link: OverlayFacts["bridge"]): string {
  return link === null ? "is not there" : "is down";
}

/** A's veth pair, its device inside, its route to B. */
export function plugStep({ from, source, plug, target }: Facts): Step | undefined {
  if (plug === null || source.endpoint === null) return undefined;
  const { ok, failed, unknown } = judge("plug", plug);
  const { port, device, route, error } = plug;
  const again = replug(source);
  if (port === null || port.master !== "br0") {
    return failed("SOURCE_UNPLUGGED", `${from} is not plugged into the network`, again);
  }
  if (device === null) {
    const text = `no interface in ${from} has ${source.endpoint.ip}`;
    return failed("SOURCE_UNPLUGGED", text, again);
  }
  if (!port.up || !port.carrier || device?.up === false) {
    const name = device?.name ?? "its interface";
    const text = `${name} in ${from}, or its other end, is down`;
    const next = `tsweave netns ${from} -- ip link set ${device?.name ?? "eth0"} up`;
    return failed("SOURCE_DOWN", text, next);
  }
  if (device === undefined) return unknown(`plugged; ${from} cannot be entered: ${error}`);
  const isOurs = target !== null && target.inSubnet !== false;
  if (isOurs && route !== undefined && route !== device.name) {
    const where = route === null ? "nowhere" : `to ${route}, not ${device.name}`;
    const text = `${from}'s route to ${target.ip} leads ${where}`;
    return failed("ROUTE_ELSEWHERE", text, `tsweave netns ${from} -- ip route get ${target.ip}`);
  }
  return ok(`${device.name} in ${from} is up and plugged into br0`);
}

function replug({ endpoint }: SourceFacts): string {
  if (endpoint?.kind === "docker") return `docker restart ${endpoint.target}`;
  return endpoint === null ? "tsweave ps" : `tsweave detach ${endpoint.target}, then attach again`;
}
