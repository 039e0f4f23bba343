/** A step of the way from A to B, as it is judged. */

/** In the order in which they are shown. */
export const STEPS = [
  "source",
  "name",
  "address",
  "range",
  "peer",
  "overlay",
  "plug",
  "entries",
  "underlay",
  "tunnel",
  "end",
  "probe",
] as const;
export type StepName = (typeof STEPS)[number];

/** Everything that can be the one cause, with the step that finds it. Scripts rely on these. */
export const CAUSES = {
  SOURCE_UNKNOWN: "source",
  SOURCE_ELSEWHERE: "source",
  SOURCE_NOT_ON_NETWORK: "source",
  NAME_UNKNOWN: "name",
  NAME_ON_OTHER_NETWORK: "name",
  NAMES_UNANSWERED: "name",
  NO_ENDPOINT: "address",
  ADDRESS_ON_OTHER_NETWORK: "address",
  ADDRESS_TWICE: "range",
  PEER_SUSPECT: "peer",
  PEER_DEAD: "peer",
  PEER_LEFT: "peer",
  NO_DIRECT_PATH: "peer",
  NAMESPACE_MISSING: "overlay",
  BRIDGE_DOWN: "overlay",
  VXLAN_DOWN: "overlay",
  VNI_DIFFERS: "overlay",
  VXLAN_PORT_DIFFERS: "overlay",
  SOURCE_UNPLUGGED: "plug",
  SOURCE_DOWN: "plug",
  ROUTE_ELSEWHERE: "plug",
  NEIGHBOUR_MISSING: "entries",
  NEIGHBOUR_WRONG: "entries",
  FORWARD_MISSING: "entries",
  FORWARD_WRONG: "entries",
  STEER_MISSING: "entries",
  STEER_WRONG: "entries",
  UNDERLAY_SILENT: "underlay",
  UNDERLAY_NARROW: "underlay",
  PEER_VXLAN_PORT_DIFFERS: "tunnel",
  PEER_VXLAN_DOWN: "tunnel",
  PEER_VNI_DIFFERS: "tunnel",
  TARGET_UNPLUGGED: "end",
  TARGET_DOWN: "end",
  NOT_PROBED: "probe",
  TUNNEL_BLOCKED: "probe",
  BRIDGE_BLOCKED: "probe",
  TARGET_SILENT: "probe",
  REPLY_LOST: "probe",
  NO_ANSWER: "probe",
  PORT_CLOSED: "probe",
  PORT_SILENT: "probe",
  PACKETS_CUT: "probe",
} as const satisfies Readonly<Record<string, StepName>>;
export type CauseCode = keyof typeof CAUSES;

export interface Step {
  readonly step: StepName;
  readonly state: "ok" | "failed" | "unknown";
  readonly text: string;
  /** Set where it failed. */
  readonly code: CauseCode | null;
  /** The next command, or what else helps. */
  readonly next: string | null;
  /** What it was judged by. */
  readonly facts: object | null;
}

/** Makers of one step's verdicts. */
export function judge(step: StepName, facts: object | null) {
  return {
    ok: (text: string): Step => ({ step, state: "ok", text, code: null, next: null, facts }),
    unknown: (text: string, next: string | null = null): Step => ({
      ...{ step, state: "unknown", text, code: null, next, facts },
    }),
    failed: (code: CauseCode, text: string, next: string | null): Step => ({
      ...{ step, state: "failed", text, code, next, facts },
    }),
  };
}
