/** Everything that is fuzzed, by name. */
import type { Target } from "./target.ts";
import { addressTargets } from "./targets/addresses.ts";
import { containerTargets } from "./targets/containers.ts";
import { localTargets } from "./targets/local.ts";
import { nodeTargets } from "./targets/nodes.ts";
import { sealTargets } from "./targets/seal.ts";
import { stateTargets } from "./targets/state.ts";
import { wireTargets } from "./targets/wire.ts";

/** Readers of bytes, without a peer around them. */
export const DECODERS: readonly Target[] = [
  ...wireTargets,
  ...addressTargets,
  ...containerTargets,
  ...localTargets,
  ...stateTargets,
];

/** Things that live on and must still work afterwards. */
export const LIVE: readonly Target[] = [...sealTargets, ...nodeTargets];
