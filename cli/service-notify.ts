/**
 * sd_notify(3) for a daemon under systemd: ready, stopping, and the watchdog's sign of life.
 *
 * Law: without NOTIFY_SOCKET nothing happens, and a manager that does not listen stops nothing.
 * Node has no unix datagram sockets: one Perl process lives as long as the daemon and passes lines
 * on. It must live, because systemd finds out by its cgroup whose message it was.
 */
import { spawn } from "node:child_process";

const PROGRAM = `
use strict; use Socket; $| = 1;
my $path = $ENV{NOTIFY_SOCKET};
$path =~ s/^@/\\0/;
socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or exit 1;
while (my $line = <STDIN>) { chomp $line; send($s, $line, 0, pack_sockaddr_un($path)); }
`;

/** What the service manager is told. */
export interface ServiceNotify {
  /** The daemon serves; from now on also a sign of life at half of the watchdog's time. */
  readonly ready: (status: string) => void;
  /** The daemon ends. */
  readonly stopping: () => void;
}

const NOBODY: ServiceNotify = { ready: () => undefined, stopping: () => undefined };

/** Takes the manager's variables out of `env`: they are this process's alone. */
export function serviceNotify(env: Record<string, string | undefined>): ServiceNotify {
  const { NOTIFY_SOCKET: path, WATCHDOG_USEC: watchdog } = env;
  delete env.NOTIFY_SOCKET;
  delete env.WATCHDOG_USEC;
  delete env.WATCHDOG_PID;
  if (path === undefined || path === "") return NOBODY;
  const child = spawn("perl", ["-e", PROGRAM], {
    stdio: ["pipe", "ignore", "ignore"],
    env: { PATH: env.PATH, NOTIFY_SOCKET: path },
  });
  // A host without Perl: the manager's own timeout then says that nothing was heard.
  child.on("error", () => undefined);
  child.stdin.on("error", () => undefined);
  child.unref();
  const say = (line: string): void => {
    child.stdin.write(`${line}\n`);
  };
  let beat: NodeJS.Timeout | undefined;
  return {
    ready: (status) => {
      say(`STATUS=${status.replace(/\p{Cc}+/gu, " ")}`);
      say("READY=1");
      const periodMs = Number(watchdog) / 2000;
      if (!(periodMs >= 1)) return;
      beat = setInterval(() => say("WATCHDOG=1"), periodMs);
      beat.unref();
    },
    stopping: () => {
      clearInterval(beat);
      say("STOPPING=1");
      child.stdin.end();
    },
  };
}
