/**
 * What the package does wrong, replaced from outside: its codec and net, the suspicion timer that
 * every failed probe re-arms, relays that include the target, stale members in the probe round,
 * numbers of probes that repeat after a restart.
 *
 * Law: the package keeps what it does well (the probe cycle, the order of states, the spreading of
 * updates); each replacement here names its reason.
 */
import type Swim from "swim";
import type Member from "swim/lib/member.js";
import type { MemberData } from "swim/lib/member.js";
import { TsweaveError } from "../errors.ts";
import { encodeMessage } from "../membership/packet.ts";
import type { Paths } from "../membership/paths.ts";
import { ProbeOrder, sample } from "../membership/shuffle.ts";
import { type SwimTiming, wasPaused } from "../membership/timing.ts";
import type { Cancel, Clock, PeerId, Random } from "../ports.ts";
import { recordOf, SWIM_STATE } from "./swim-data.ts";
import type { SwimNet } from "./swim-net.ts";

interface Cures {
  readonly net: SwimNet;
  readonly clock: Clock;
  readonly random: Random;
  readonly timing: SwimTiming;
  readonly paths: Paths;
  /** A member answered neither the direct probes nor the relays since `sinceMs`. */
  suspect(id: PeerId, sinceMs: number): void;
}

/** Replaces the parts; to be called before `bootstrap`. Undo cancels what is in flight. */
export function cureSwim(swim: Swim, cures: Cures): Cancel {
  replaceNet(swim, cures.net);
  replaceSuspicion(swim, cures);
  replaceProbeOrder(swim, cures.random);
  swim.failureDetector.seq = cures.random.u32();
  return replaceIndirectProbe(swim, cures);
}

function replaceNet(swim: Swim, net: SwimNet): void {
  swim.net.udpSocket?.close();
  swim.net = net;
  const unused = (): never => {
    throw new TsweaveError("INTERNAL", "swim's own codec is not in use");
  };
  swim.codec = { encode: unused, decode: unused };
  /** BOUNDED: weak; the package keeps one update object a member while it spreads. */
  const encoded = new WeakMap<MemberData, Buffer>();
  swim.disseminator.serializeUpdate = (update) => {
    const known = encoded.get(update);
    if (known !== undefined) return known;
    const bytes = Buffer.from(encodeMessage({ type: "update", record: recordOf(update) }));
    encoded.set(update, bytes);
    return bytes;
  };
}

/** The package's listener restarts a timer of its own on each failed probe. */
function replaceSuspicion(swim: Swim, { clock, timing, suspect }: Cures): void {
  const windowMs = timing.pingTimeoutMs + timing.pingReqTimeoutMs;
  swim.membership.suspectListener = (member) => suspect(member.host, clock.nowMs() - windowMs);
}

/** The package probes member objects that may since have been replaced. */
function replaceProbeOrder({ membership }: Swim, random: Random): void {
  const order = new ProbeOrder(random);
  membership.next = () => {
    const id = order.next(Object.keys(membership.hostToMember));
    return id === undefined ? undefined : membership.get(id);
  };
}

/**
 * The package may ask the target itself, or suspects, to relay, and does nothing at all where it
 * has no relay. Here the direct probe is repeated beside the relays, so two peers suffice, and a
 * process that was itself too busy to hear the acks accuses nobody.
 */
function replaceIndirectProbe(swim: Swim, cures: Cures): Cancel {
  const { clock, random, timing, paths } = cures;
  const { membership, failureDetector: detector } = swim;
  /** BOUNDED: one a probe of the last `pingReqTimeoutMs`. */
  const waiting = new Set<Cancel>();
  detector.pingReq = (probed) => {
    const target = membership.get(probed.host);
    if (target === undefined) return;
    const dueMs = clock.nowMs() + timing.pingReqTimeoutMs;
    const cancelTimer = clock.timer("indirect-probe", timing.pingReqTimeoutMs, () => {
      waiting.delete(cancel);
      if (!wasPaused(timing, clock.nowMs() - dueMs)) detector.emit("suspect", target);
    });
    const cancel = (): void => {
      waiting.delete(cancel);
      cancelTimer();
    };
    waiting.add(cancel);
    const relays = Object.values(membership.hostToMember).filter(
      (member) => member.host !== target.host && member.state === SWIM_STATE.alive,
    );
    for (const relay of sample(random, relays, timing.relays)) {
      detector.pingReqThroughMember(target, relay, () => {
        paths.missed(target.host);
        cancel();
      });
    }
    pingAgain(swim, cures, target, cancel);
  };
  return () => {
    for (const cancel of waiting) cancel();
  };
}

/** Asks the address in use once more, and all others. */
function pingAgain(swim: Swim, { net, timing, paths }: Cures, target: Member, onAck: Cancel): void {
  const { failureDetector: detector } = swim;
  paths.doubt(target.host);
  for (const at of [undefined, ...paths.others(target.host)]) {
    const seq = takeSeq(swim);
    detector.seqToTimeout[seq] = setTimeout(() => detector.clearSeq(seq), timing.pingReqTimeoutMs);
    detector.seqToCallback[seq] = () => {
      detector.clearSeq(seq);
      onAck();
    };
    net.ping(seq, target.host, at);
  }
}

/** A number for one more probe. */
export function takeSeq({ failureDetector: detector }: Swim): number {
  const { seq } = detector;
  detector.seq += 1;
  return seq;
}
