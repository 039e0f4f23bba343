/** The command table. A command is listed once it works, and imported when it is used. */
import type { CommandEntry } from "../command.ts";

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "launch",
    summary: "start this host's peer and join the mesh",
    load: async () => (await import("./launch.ts")).launch,
  },
  {
    name: "stop",
    summary: "stop the peer; containers keep their network",
    load: async () => (await import("./stop.ts")).stop,
  },
  {
    name: "status",
    summary: "show this peer, the mesh, and what they hold",
    load: async () => (await import("./status.ts")).status,
  },
  {
    name: "connect",
    summary: "try more peers until they answer",
    load: async () => (await import("./connect.ts")).connect,
  },
  {
    name: "forget",
    summary: "try a peer's address no longer",
    load: async () => (await import("./forget.ts")).forget,
  },
  {
    name: "rmpeer",
    summary: "remove a host that is gone for good",
    load: async () => (await import("./rmpeer.ts")).rmpeer,
  },
  {
    name: "leave",
    summary: "leave the mesh for good",
    load: async () => (await import("./leave.ts")).leave,
  },
  {
    name: "reset",
    summary: "leave, and remove everything of tsweave from this host",
    load: async () => (await import("./reset.ts")).reset,
  },
  {
    name: "keys",
    summary: "show and change the passwords of an encrypted mesh",
    load: async () => (await import("./keys.ts")).keys,
  },
  {
    name: "version",
    summary: "print the version",
    load: async () => (await import("./version.ts")).version,
  },
  {
    name: "help",
    summary: "show the commands, or one command's options",
    load: async () => (await import("./help.ts")).help,
  },
];
