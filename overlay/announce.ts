/**
 * The wait of a new endpoint for the others to hear of it.
 *
 * Law: bounded, and it fails nobody. Who has not heard in time learns by the tables' own repair.
 */
import { type Clock, type Log, messageOf, TIMES } from "../mesh/index.ts";
import { within } from "./docker/deadline.ts";
import type { Publisher } from "./docker/ports.ts";

/** Waits until every peer in reach has the rows written so far, but not long. Never rejects. */
export async function announced(ports: {
  readonly publisher: Publisher;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<void> {
  const { publisher, clock, log } = ports;
  try {
    const work = publisher.announce(TIMES.announceMs);
    const { late } = await within(clock, "announce", 2 * TIMES.announceMs, work);
    if (late.length > 0) log.info({ late }, "some peers learn of the endpoint later");
  } catch (error) {
    log.warn({ reason: messageOf(error) }, "the endpoint was not announced");
  }
}
