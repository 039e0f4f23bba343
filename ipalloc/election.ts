/**
 * One peer's part in the vote on the founding record: it answers as an acceptor and proposes.
 *
 * Law: every answer leaves after its vote is on disk. An answer from a peer that has founded ends
 * the vote: its record is adopted.
 */
import {
  type Cancel,
  type Log,
  messageOf,
  type PeerId,
  type Random,
  type Rpc,
  readArray,
  TIMES,
  TsweaveError,
  type WireValue,
} from "../mesh/index.ts";
import {
  type Answer,
  accept,
  type Ballot,
  boundValue,
  decodeAnswer,
  decodeBallot,
  encodeAnswer,
  encodeBallot,
  promise,
  type Vote,
} from "./consensus.ts";
import {
  decodeFounding,
  encodeFounding,
  type Founding,
  makeFounding,
  quorumOf,
  type Voter,
} from "./founding.ts";
import type { Ledger } from "./ledger.ts";

const PREPARE = "ipalloc.prepare";
const ACCEPT = "ipalloc.accept";

type Granted = Extract<Answer, { type: "granted" }>;

export interface ElectionPorts {
  readonly random: Random;
  readonly log: Log;
  readonly rpc: Rpc;
  /** A peer's name, for people. */
  readonly nameOf: (peer: PeerId) => string;
}

export class Election {
  /** This peer as others see its vote. */
  readonly voter: Voter;
  /** Why the last attempt decided nothing. */
  obstacle: string | undefined;
  readonly #ports: ElectionPorts;
  readonly #ledger: Ledger;
  readonly #abstains: string | undefined;
  /** Who answered last that it never votes. BOUNDED: one a peer asked. */
  #abstaining: readonly string[] = [];
  #highestRound = 0;

  /** `abstains`: why this peer never votes; what it knows of a founding it tells all the same. */
  constructor(ports: ElectionPorts, ledger: Ledger, voter: Voter, abstains?: string) {
    this.#ports = ports;
    this.#ledger = ledger;
    this.#abstains = abstains;
    this.voter = voter;
  }

  /** Answers the questions of other peers until cancelled. */
  serve(): Cancel[] {
    const { rpc } = this.#ports;
    return [
      rpc.serve(PREPARE, async (_, body) =>
        encodeAnswer(await this.#onPrepare(decodeBallot(body, "prepare"))),
      ),
      rpc.serve(ACCEPT, async (_, body) => {
        const [ballot, value] = readArray(body, "accept", 2, 8);
        const read = decodeBallot(ballot, "accept");
        return encodeAnswer(await this.#onAccept(read, decodeFounding(value, "accept")));
      }),
    ];
  }

  /** A founding by these voters and this one. */
  proposal(voters: readonly Voter[]): Founding {
    const meshId = Buffer.from(this.#ports.random.bytes(8)).toString("hex");
    const founders = [...voters, this.voter].map(({ store, peer }) => ({ store, peer }));
    return makeFounding(meshId, founders);
  }

  /** One ballot among `peers` and this one; the chosen record, or undefined with `obstacle` set. */
  async attempt(peers: readonly PeerId[]): Promise<Founding | undefined> {
    const promised = this.#ledger.state.vote.promised?.round ?? 0;
    const ballot = { round: Math.max(promised, this.#highestRound) + 1, peer: this.voter.peer };
    const prepare = encodeBallot(ballot);
    const promises = await this.#ask(peers, PREPARE, prepare, () => this.#onPrepare(ballot));
    if (promises.founded !== undefined) return promises.founded;
    if (!this.#isQuorum(promises.granted)) return undefined;
    const bound = boundValue(promises.granted.map(({ accepted }) => accepted));
    const value = bound ?? this.proposal(promises.granted.map(({ voter }) => voter));
    const body = [prepare, encodeFounding(value)];
    const asked = promises.granted.map(({ voter }) => voter.peer);
    const others = asked.filter((peer) => peer !== this.voter.peer);
    const accepts = await this.#ask(others, ACCEPT, body, () => this.#onAccept(ballot, value));
    if (accepts.founded !== undefined) return accepts.founded;
    return this.#isQuorum(accepts.granted) ? value : undefined;
  }

  async #ask(
    peers: readonly PeerId[],
    service: string,
    body: WireValue,
    own: () => Promise<Answer>,
  ): Promise<{ granted: Granted[]; founded: Founding | undefined }> {
    const { rpc, log } = this.#ports;
    const abstaining: string[] = [];
    const calls = peers.map(async (peer) => {
      try {
        const answer = decodeAnswer(await rpc.call(peer, service, body, TIMES.foundingCallMs));
        // A voter speaks for itself only.
        return answer.type === "granted" && answer.voter.peer !== peer ? undefined : answer;
      } catch (error) {
        log.debug({ peer, service, err: messageOf(error) }, "no vote");
        if (error instanceof TsweaveError && error.code === "BAD_REQUEST") {
          abstaining.push(`${this.#ports.nameOf(peer)} ${error.message}`);
        }
        return undefined;
      }
    });
    const answers = await Promise.all([own(), ...calls]);
    this.#abstaining = abstaining;
    const granted: Granted[] = [];
    let founded: Founding | undefined;
    for (const answer of answers) {
      if (answer?.type === "granted") granted.push(answer);
      if (answer?.type === "founded") founded ??= answer.value;
      if (answer?.type === "refused") {
        this.#highestRound = Math.max(this.#highestRound, answer.promised.round);
      }
    }
    return { granted, founded };
  }

  #isQuorum(granted: readonly Granted[]): boolean {
    const quorum = quorumOf(granted.map(({ voter }) => voter));
    const enough = quorum.some(({ peer }) => peer === this.voter.peer);
    const why = [`${granted.length} votes are no majority of every voter's`, ...this.#abstaining];
    this.obstacle = enough ? undefined : why.join("; ");
    return enough;
  }

  #onPrepare(ballot: Ballot): Promise<Answer> {
    return this.#vote(ballot, (vote) => promise(vote, ballot));
  }

  #onAccept(ballot: Ballot, value: Founding): Promise<Answer> {
    return this.#vote(ballot, (vote) => accept(vote, ballot, value));
  }

  #vote(ballot: Ballot, next: (vote: Vote) => Vote | undefined): Promise<Answer> {
    const { state } = this.#ledger;
    return this.#ledger.exclusive<Answer>(async (commit) => {
      if (state.founding !== undefined) return { type: "founded", value: state.founding };
      if (this.#abstains !== undefined) throw new TsweaveError("BAD_REQUEST", this.#abstains);
      const { accepted, promised } = state.vote;
      const vote = next(state.vote);
      if (vote === undefined) return { type: "refused", promised: promised ?? ballot };
      await commit({ kind: "vote", vote });
      return { type: "granted", voter: this.voter, accepted };
    });
  }
}
