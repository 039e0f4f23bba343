/**
 * Who answers a host's question that the zone does not know: nobody.
 *
 * Law: the host's listener never asks anyone, so a host that sends it all its questions gets no
 * loop; below the domain, which is ours there, it says that a name does not exist.
 */
import { TIMES } from "../mesh/index.ts";
import { bytesMax, type Transport } from "./answer.ts";
import { CLASS, type Query, RCODE } from "./codec.ts";
import type { Done } from "./forwarder.ts";
import { unknownName } from "./lookup.ts";
import { encodeError, encodeReply } from "./reply.ts";
import type { Elsewhere } from "./session.ts";
import type { Zone } from "./zone.ts";

export class Nobody implements Elsewhere {
  readonly #zone: Zone;

  constructor(zone: Zone) {
    this.#zone = zone;
  }

  ask(query: Query, transport: Transport, done: Done): void {
    const zone = this.#zone;
    if (query.class !== CLASS.in || !zone.isInDomain(query.key)) {
      done(encodeError(query, RCODE.refused), "refused");
      return;
    }
    const { domain } = zone.apex;
    const depth = query.labels.length - domain.split(".").length;
    const unknown = unknownName(depth);
    const reply = query.key === domain ? { ...unknown, rcode: RCODE.noError } : unknown;
    const terms = { ttlSeconds: TIMES.dnsTtlSeconds, apex: zone.apex };
    done(encodeReply(query, reply, bytesMax(query, transport), terms), "answered");
  }

  close(): void {
    // Nothing is ever under way.
  }
}
