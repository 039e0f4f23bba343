/**
 * One TCP connection from inside a container's namespace, opened and closed at once.
 *
 * Perl as in the path probe: it is in every Debian, and a Node process inside the namespace would
 * take ten times as long to start.
 */
import { isRecord } from "../control/error-body.ts";
import { tool } from "../doctor/host.ts";
import type { TcpProbe } from "./facts.ts";
import { enter, type Place } from "./kernel-look.ts";

const PROGRAM = `
use strict; use warnings; use Socket qw(:DEFAULT :addrinfo); use Fcntl; use Errno;
my $fine = eval { require Time::HiRes; 1 };
sub now { $fine ? Time::HiRes::time() : time }
my ($host, $port, $seconds) = @ARGV;
my $start = now();
sub done {
  my ($outcome, $error) = @_;
  my $took = $outcome eq 'open' && $fine ? sprintf('%.3f', (now() - $start) * 1000) : 'null';
  $error =~ s/["\\\\]//g if defined $error;
  printf '{"outcome":"%s","tookMs":%s,"error":%s}', $outcome, $took,
    defined $error ? "\\"$error\\"" : 'null';
  exit 0;
}
sub told {
  my ($errno) = @_;
  local $! = $errno;
  done('refused', "$!") if $errno == Errno::ECONNREFUSED;
  done('silent', "$!") if $errno == Errno::ETIMEDOUT || $errno == Errno::EHOSTUNREACH;
  done('failed', "$!");
}
my ($failed, $found) = getaddrinfo($host, $port,
  { flags => AI_NUMERICHOST | AI_NUMERICSERV, socktype => SOCK_STREAM });
done('failed', 'not an address') if $failed;
socket(my $s, $found->{family}, SOCK_STREAM, 0) or told($! + 0);
fcntl($s, F_SETFL, O_NONBLOCK);
connect($s, $found->{addr}) or $!{EINPROGRESS} or told($! + 0);
my $ready = '';
vec($ready, fileno $s, 1) = 1;
done('silent', 'no answer') if select(undef, $ready, undef, $seconds) <= 0;
my $errno = unpack('i', getsockopt($s, SOL_SOCKET, SO_ERROR));
$errno == 0 ? done('open', undef) : told($errno);
`;

const WAIT_SECONDS = 3;
const OUTCOMES = ["open", "refused", "silent", "failed"] as const;

/** Never rejects. */
export async function probeTcp(place: Place, ip: string, port: number): Promise<TcpProbe> {
  const argv = ["perl", "-e", PROGRAM, ip, String(port), String(WAIT_SECONDS)];
  const { out, err, code } = await tool(enter(place, argv), "", (WAIT_SECONDS + 3) * 1000);
  try {
    const value: unknown = JSON.parse(out);
    const outcome = OUTCOMES.find((known) => isRecord(value) && value.outcome === known);
    if (!isRecord(value) || outcome === undefined) throw new Error("no answer");
    return {
      outcome,
      tookMs: typeof value.tookMs === "number" ? value.tookMs : null,
      error: typeof value.error === "string" ? value.error : null,
    };
  } catch {
    const why = err.split("\n")[0] || `perl ended with ${code}`;
    return { outcome: "failed", tookMs: null, error: why.slice(0, 200) };
  }
}
