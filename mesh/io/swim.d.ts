/**
 * Types of the parts of the npm package `swim` that the engine uses or replaces. The package has
 * none of its own; written from its source, version 0.6.0.
 */
declare module "swim" {
  import type { EventEmitter } from "node:events";
  import type Member from "swim/lib/member.js";

  export interface SwimOptions {
    readonly local: import("swim/lib/member.js").MemberData;
    readonly codec: "json" | "msgpack";
    readonly interval: number;
    readonly pingTimeout: number;
    readonly pingReqTimeout: number;
    readonly pingReqGroupSize: number;
    readonly disseminationFactor: number;
    readonly preferCurrentMeta: boolean;
  }

  export interface Membership extends EventEmitter {
    readonly local: Member;
    readonly hostToMember: Record<string, Member>;
    readonly hostToIterable: Record<string, Member>;
    readonly hostToFaulty: Record<string, Member>;
    suspectListener: (member: Member) => void;
    next: () => Member | undefined;
    get(host: string): Member | undefined;
    size(hasLocal: boolean): number;
    onUpdate(data: import("swim/lib/member.js").MemberData): void;
  }

  export interface FailureDetector extends EventEmitter {
    seq: number;
    readonly seqToCallback: Record<number, () => void>;
    readonly seqToTimeout: Record<number, NodeJS.Timeout>;
    pingReq: (member: Member) => void;
    pingReqThroughMember(target: Member, relay: Member, onAck: () => void): void;
    clearSeq(seq: number): void;
    start(): void;
    stop(): void;
  }

  export interface Disseminator extends EventEmitter {
    serializeUpdate: (update: import("swim/lib/member.js").MemberData) => Buffer;
    getUpdatesUpTo(bytesAvailable: number): Buffer[];
  }

  export interface Message {
    readonly type: number;
    readonly data: unknown;
  }

  export interface Net extends EventEmitter {
    listen(callback: (error?: Error) => void): void;
    close(): void;
    sendMessage(message: Message, host: string): void;
    sendMessages(messages: readonly Message[], host: string): void;
  }

  export default class Swim {
    constructor(options: SwimOptions);
    codec: { encode: (value: unknown) => Buffer; decode: (bytes: Buffer) => unknown };
    net: Net & { readonly udpSocket?: { close(): void } };
    readonly membership: Membership;
    readonly failureDetector: FailureDetector;
    readonly disseminator: Disseminator;
    bootstrap(hosts: readonly string[], callback: (error?: Error) => void): void;
    leave(): void;
  }
}

declare module "swim/lib/member.js" {
  export interface MemberData {
    readonly host: string;
    /** 0 alive, 1 suspect, 2 faulty. */
    readonly state: number;
    readonly incarnation: number;
    readonly meta: unknown;
  }

  export default class Member implements MemberData {
    constructor(data: MemberData);
    readonly host: string;
    readonly state: number;
    incarnation: number;
    meta: unknown;
    data(): MemberData;
  }
}
