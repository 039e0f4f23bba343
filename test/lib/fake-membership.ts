/** A Membership whose verdicts the test gives: the seam without an engine. */
import type {
  Cancel,
  HostPort,
  Member,
  MemberEvent,
  MemberState,
  Membership,
  PeerMeta,
  Target,
} from "../../mesh/index.ts";

export class FakeMembership implements Membership {
  readonly self: PeerMeta;
  readonly #others = new Map<string, Member>();
  readonly #receivers = new Set<(event: MemberEvent) => void>();

  constructor(self: PeerMeta) {
    this.self = self;
  }

  /** Gives a verdict about another peer and tells whoever listens. */
  set(meta: PeerMeta, state: MemberState, sinceMs = 0): void {
    const member: Member = { ...meta, state, sinceMs, rttMs: null, self: false };
    this.#others.set(meta.id, member);
    for (const receive of this.#receivers) receive({ type: state, member });
  }

  async start(): Promise<void> {}
  join(_targets: readonly HostPort[]): void {}
  forget(_targets: readonly HostPort[]): void {}
  async leave(): Promise<void> {}
  async stop(): Promise<void> {}

  members(): readonly Member[] {
    const self: Member = { ...this.self, state: "alive", sinceMs: 0, rttMs: 0, self: true };
    return [self, ...this.#others.values()];
  }

  member(id: string): Member | undefined {
    return this.members().find((member) => member.id === id);
  }

  targets(): readonly Target[] {
    return [];
  }

  onEvent(receive: (event: MemberEvent) => void): Cancel {
    this.#receivers.add(receive);
    return () => this.#receivers.delete(receive);
  }
}
