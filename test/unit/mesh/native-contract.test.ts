/** The contract on the native engine, ten times faster than shipped; and its own gifts. */
import { processClock } from "../../../mesh/io/clock.ts";
import { cryptoRandom } from "../../../mesh/io/random.ts";
import { scaledNative } from "../../../mesh/membership/native/config.ts";
import { createNativeEngine } from "../../../mesh/membership/native/engine.ts";
import { membershipContract } from "../../contract/membership.ts";
import { QuietLog } from "../../lib/quiet-log.ts";

const timing = scaledNative(0.1);

membershipContract({
  name: "native",
  intervalMs: timing.watchMs,
  suspicionMs: timing.suspicionSmallMs,
  healMaxMs: timing.healMaxMs,
  create: (datagrams, self, targets, streams) =>
    createNativeEngine(
      {
        datagrams,
        streams,
        clock: processClock(),
        random: cryptoRandom(),
        log: new QuietLog(),
      },
      { self, targets, timing },
    ),
});
