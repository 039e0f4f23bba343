/**
 * Planted mistakes: each breaks one rule of the product's real source, and a short swarm must
 * notice. They show that the checkers have teeth.
 *
 * Law: each text to be replaced occurs exactly once in its file, so no mutant fades away unseen.
 */

export interface Mutant {
  readonly name: string;
  /** The rule that is broken, as a sentence about the broken product. */
  readonly mistake: string;
  readonly file: string;
  readonly changes: readonly (readonly [from: string, to: string])[];
}

const LOG = "mesh/tables/origin-log.ts";
const JUDGEMENT = "mesh/membership/judgement.ts";

export const MUTANTS: readonly Mutant[] = [
  {
    name: "last-to-arrive-wins",
    mistake: "a merge ignores sequence numbers",
    file: LOG,
    changes: [
      ["delta.rows.filter((row) => row.seq > this.#seq)", "delta.rows"],
      ["if (held !== undefined && held.seq >= row.seq) return [];", ""],
    ],
  },
  {
    name: "tombstone-dropped-early",
    mistake: "only the two newest removals are still told",
    file: LOG,
    changes: [
      [
        "(row) => row.seq > seq)",
        "(row) => row.seq > seq && (row.bytes !== null || row.seq > this.#seq - 2))",
      ],
    ],
  },
  {
    name: "floor-not-raised",
    mistake: "tombstones are dropped and the floor stays",
    file: LOG,
    changes: [["this.#floor = Math.max(this.#floor, row.seq);", ""]],
  },
  {
    name: "gap-jumped",
    mistake: "a log counts as complete although a push before was lost",
    file: LOG,
    changes: [["if (!gap && delta.to > this.#seq) {", "if (delta.to > this.#seq) {"]],
  },
  {
    name: "whole-log-drops-nothing",
    mistake: "what is missing from a whole log stays",
    file: LOG,
    changes: [["changes.push(...this.#dropMissing(delta));", "changes.push();"]],
  },
  {
    name: "former-life-merged",
    mistake: "rows of a former life are taken into the present one",
    file: "mesh/tables/replica.ts",
    changes: [["if (!isNewer && delta.incarnation < held.incarnation) return NOTHING;", ""]],
  },
  {
    name: "told-again",
    mistake: "watchers hear a new life's unchanged rows as news",
    file: "mesh/tables/replica.ts",
    changes: [["if (old && now && Buffer.compare(old, now) === 0) continue;", ""]],
  },
  {
    name: "ack-before-apply",
    mistake: "a push is acknowledged as far as it went, whatever is missing before it",
    file: "mesh/tables/replicator.ts",
    changes: [
      [
        "const { incarnation, seq } = held;",
        "const { incarnation } = held;\n      const seq = delta.to;",
      ],
    ],
  },
  {
    name: "ack-counted-for-all",
    mistake: "an old acknowledgement counts for the newest row",
    file: "mesh/tables/spread.ts",
    changes: [
      ["this.learn(ack.sender, ack.seq);", "this.learn(ack.sender, this.#replica.ownSeq);"],
    ],
  },
  {
    name: "head-lies",
    mistake: "the head of a range vouches for peers that did not acknowledge",
    file: "mesh/tables/relay.ts",
    changes: [
      [
        "marksOf(holds(delta) ? [self, ...job.covered] : job.covered)",
        "marksOf([self, ...job.covered, ...job.late.keys()])",
      ],
    ],
  },
  {
    name: "push-too-large",
    mistake: "pushes are cut for datagrams of twice the size",
    file: "mesh/tables/push.ts",
    changes: [
      [
        "LIMITS.datagramPayloadBytesMax - OVERHEAD_BYTES",
        "2 * LIMITS.datagramPayloadBytesMax - OVERHEAD_BYTES",
      ],
    ],
  },
  {
    name: "journal-not-replayed",
    mistake: "a start reads the snapshot of what others said and not the journal",
    file: "mesh/tables/keeper.ts",
    changes: [
      ["snapshot === undefined ? records : [snapshot, ...records]", "[snapshot ?? []].flat()"],
    ],
  },
  {
    name: "incarnation-reused",
    mistake: "a start does not raise the incarnation above the stored one",
    file: "mesh/identity.ts",
    changes: [["Math.max(last + 1,", "Math.max(last,"]],
  },
  {
    name: "refutation-ignored",
    mistake: "a suspect's own word does not end the suspicion",
    file: JUDGEMENT,
    changes: [['if (ahead > 0) return incoming.state === "alive" ? "alive" : "suspect";', ""]],
  },
  {
    name: "death-by-hearsay",
    mistake: "a verdict of death is taken from others",
    file: JUDGEMENT,
    changes: [
      [
        'return known.state === "alive" && incoming.state !== "alive" ? "suspect" : "stale";',
        'return incoming.state === "alive" ? "stale" : "dead";',
      ],
    ],
  },
];
