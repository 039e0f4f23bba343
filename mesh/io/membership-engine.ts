/**
 * The two membership engines by their names, as the operator chooses between them. It stands in io/
 * because the swim package brings its own timers; the native engine does not.
 */
import type { EngineName, MembershipEngine } from "../membership/membership.ts";
import { NATIVE_LAN } from "../membership/native/config.ts";
import {
  createNativeEngine,
  type NativeEngineOptions,
  type NativeEnginePorts,
} from "../membership/native/engine.ts";
import { SWIM_TIMING } from "../membership/timing.ts";
import { createSwimEngine } from "./swim-engine.ts";

/**
 * An engine with its timing for local networks.
 * @throws TsweaveError CONFIG when `self` cannot be carried (name, unusable address).
 */
export function createMembershipEngine(
  name: EngineName,
  ports: NativeEnginePorts,
  options: Omit<NativeEngineOptions, "timing">,
): MembershipEngine {
  return name === "native"
    ? createNativeEngine(ports, { ...options, timing: NATIVE_LAN })
    : createSwimEngine(ports, { ...options, timing: SWIM_TIMING });
}
