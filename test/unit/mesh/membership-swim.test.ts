/** The contract on the swim engine, ten times faster than shipped. */

import { processClock } from "../../../mesh/io/clock.ts";
import { cryptoRandom } from "../../../mesh/io/random.ts";
import { createSwimEngine } from "../../../mesh/io/swim-engine.ts";
import { scaledTiming } from "../../../mesh/membership/timing.ts";
import { membershipContract } from "../../contract/membership.ts";
import { QuietLog } from "../../lib/quiet-log.ts";

const timing = scaledTiming(0.1);

membershipContract({
  name: "swim",
  intervalMs: timing.intervalMs,
  suspicionMs: timing.suspicionSmallMs,
  healMaxMs: timing.healMaxMs,
  lacks: {
    "closed port": "the package knows only silence; presence.ts asks the host after the verdict",
    "lone accuser": "its updates carry no accuser, so confirmations cannot be counted (Lifeguard)",
  },
  create: (datagrams, self, targets) =>
    createSwimEngine(
      { datagrams, clock: processClock(), random: cryptoRandom(), log: new QuietLog() },
      { self, targets, timing },
    ),
});
