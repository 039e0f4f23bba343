/**
 * Loaded into a daemon before its own code (`node --import`): its wall clock is off by the
 * milliseconds that a file says, which the daemon cannot tell from a step of the real clock. The
 * kernel has one wall clock for all hosts of a machine (time namespaces move only the monotonic
 * clocks), so this is the nearest: what the kernel and Docker stamp is not moved.
 */
import { readFileSync } from "node:fs";

const file = process.env.TSWEAVE_CHAOS_CLOCK ?? "/run/chaos-clock";
const LOOK_EVERY_MS = 100;

let offsetMs = 0;
function look() {
  try {
    offsetMs = Number(readFileSync(file, "utf8")) || 0;
  } catch {
    // No file: the clock is right.
    offsetMs = 0;
  }
}
look();
setInterval(look, LOOK_EVERY_MS).unref();

const RealDate = Date;
const now = () => RealDate.now() + offsetMs;

globalThis.Date = class SteppedDate extends RealDate {
  constructor(...words) {
    super(...(words.length === 0 ? [now()] : words));
  }
  static now() {
    return now();
  }
};
