/**
 * The two membership engines by their names, as the operator chooses between them. It stands in io/
 * because the swim package brings its own timers; the native engine does not.
 */
import type { EngineOptions, EnginePorts } from "../membership/engine.ts";
import type { EngineName, LatencyClass, MembershipEngine } from "../membership/membership.ts";
import { NATIVE_LAN, NATIVE_WAN } from "../membership/native/config.ts";
import { createNativeEngine } from "../membership/native/engine.ts";
import { SWIM_TIMING, SWIM_WAN } from "../membership/timing.ts";
import { createSwimEngine } from "./swim-engine.ts";

const NATIVE = { lan: NATIVE_LAN, wan: NATIVE_WAN } as const;
const SWIM = { lan: SWIM_TIMING, wan: SWIM_WAN } as const;

/**
 * An engine with its timing for one class of networks.
 * @throws TsweaveError CONFIG when `self` cannot be carried (name, unusable address).
 */
export function createMembershipEngine(
  name: EngineName,
  ports: EnginePorts,
  options: Pick<EngineOptions<never>, "self" | "targets"> & { readonly latency: LatencyClass },
): MembershipEngine {
  const { latency, ...rest } = options;
  return name === "native"
    ? createNativeEngine(ports, { ...rest, timing: NATIVE[latency] })
    : createSwimEngine(ports, { ...rest, timing: SWIM[latency] });
}
