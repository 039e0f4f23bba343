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
    name: "wait",
    summary: "wait until the peer is ready, or has so many peers",
    load: async () => (await import("./wait.ts")).wait,
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
    name: "adopt",
    summary: "let another mesh adopt this host's",
    load: async () => (await import("./adopt.ts")).adopt,
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
    name: "attach",
    summary: "give a container, process or namespace an address",
    load: async () => (await import("./attach.ts")).attach,
  },
  {
    name: "detach",
    summary: "take it away again",
    load: async () => (await import("./detach.ts")).detach,
  },
  {
    name: "ps",
    summary: "show every endpoint of this host",
    load: async () => (await import("./ps.ts")).ps,
  },
  {
    name: "expose",
    summary: "give this host an address in the subnet",
    load: async () => (await import("./expose.ts")).expose,
  },
  {
    name: "hide",
    summary: "take this host's address back",
    load: async () => (await import("./hide.ts")).hide,
  },
  {
    name: "reconcile",
    summary: "show or repair what the kernel lacks",
    load: async () => (await import("./reconcile.ts")).reconcile,
  },
  {
    name: "netns",
    summary: "run a command in the namespace of a network or container",
    load: async () => (await import("./netns.ts")).netns,
  },
  {
    name: "links",
    summary: "show devices of all namespaces, and what they lead to",
    load: async () => (await import("./links.ts")).links,
  },
  {
    name: "dns-add",
    summary: "give a service outside of the mesh a name",
    load: async () => (await import("./dns-add.ts")).dnsAdd,
  },
  {
    name: "dns-remove",
    summary: "take such a name back",
    load: async () => (await import("./dns-remove.ts")).dnsRemove,
  },
  {
    name: "dns-lookup",
    summary: "show what a name or an address answers",
    load: async () => (await import("./dns-lookup.ts")).dnsLookup,
  },
  {
    name: "network",
    summary: "show, make and remove networks, on all hosts at once",
    load: async () => (await import("./network.ts")).network,
  },
  {
    name: "keys",
    summary: "show and change the passwords of an encrypted mesh",
    load: async () => (await import("./keys.ts")).keys,
  },
  {
    name: "ping",
    summary: "measure gossip, stream, largest packet and tunnel to a peer",
    load: async () => (await import("./ping.ts")).ping,
  },
  {
    name: "test",
    summary: "have all hosts measure their ways to one another",
    load: async () => (await import("./test.ts")).test,
  },
  {
    name: "explain",
    summary: "find out why a container does not reach another",
    load: async () => (await import("./explain.ts")).explain,
  },
  {
    name: "doctor",
    summary: "find what is wrong with this host, and repair what is safe",
    load: async () => (await import("./doctor.ts")).doctor,
  },
  {
    name: "report",
    summary: "write one archive with everything that helps to find a fault",
    load: async () => (await import("./report.ts")).report,
  },
  {
    name: "events",
    summary: "show what happened, or follow what happens",
    load: async () => (await import("./events.ts")).events,
  },
  {
    name: "logs",
    summary: "show the daemon's log",
    load: async () => (await import("./logs.ts")).logs,
  },
  {
    name: "log-level",
    summary: "show or change what the running daemon logs",
    load: async () => (await import("./log-level.ts")).logLevel,
  },
  {
    name: "completion",
    summary: "print a shell's completion script",
    load: async () => (await import("./completion.ts")).completion,
  },
  {
    name: "schema",
    summary: "print the JSON Schema of what a command prints with --json",
    load: async () => (await import("./schema.ts")).schema,
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
