/**
 * ICMP echoes that no router may cut: round trip and largest packet to an address, also from inside
 * a container's network namespace.
 *
 * Law: it sends to one address, at most some thirty packets, and says why when it cannot. Node has
 * no raw sockets and iputils may be missing; Perl is part of every Debian (Essential).
 */
import { isIP } from "node:net";
import { isRecord } from "../control/error-body.ts";
import { tool } from "./host.ts";

export interface PathProbe {
  /** Null when nothing came back. */
  readonly rttMs: number | null;
  /** Bytes of the largest IP packet that came back whole; null when none did. */
  readonly largestBytes: number | null;
  /** Why there is no measurement; null when there is one. */
  readonly error: string | null;
}

const PROGRAM = `
use strict; use warnings; use Socket qw(:DEFAULT :addrinfo);
my $fine = eval { require Time::HiRes; 1 };
sub now { $fine ? Time::HiRes::time() : time }
my ($host, $most) = @ARGV;
my $v6 = $host =~ /:/;
my $head = $v6 ? 48 : 28;
my ($failed, $found) = getaddrinfo($host, '', { flags => AI_NUMERICHOST });
done("not an address") if $failed;
socket(my $s, $v6 ? AF_INET6 : AF_INET, SOCK_RAW, $v6 ? 58 : 1) or done("raw socket: $!");
# IP_MTU_DISCOVER or IPV6_MTU_DISCOVER to PROBE: never cut, whatever was learned before.
setsockopt($s, $v6 ? 41 : 0, $v6 ? 23 : 10, pack('i', 3)) or done("no probing: $!");
setsockopt($s, 41, 26, pack('i', 3)) if $v6;
connect($s, $found->{addr}) or done("connect: $!");
my ($sequence, $rtt) = (0, undef);
sub done {
  my ($error, $size) = @_;
  $error =~ s/["\\\\]//g if defined $error;
  printf '{"rttMs":%s,"largestBytes":%s,"error":%s}',
    defined $rtt && $fine ? sprintf('%.3f', $rtt) : 'null', $size // 'null',
    defined $error ? "\\"$error\\"" : 'null';
  exit 0;
}
sub checksum {
  my ($bytes) = @_;
  my $sum = unpack('%32n*', length($bytes) % 2 ? $bytes . "\\0" : $bytes);
  $sum = ($sum >> 16) + ($sum & 0xffff) while $sum >> 16;
  return ~$sum & 0xffff;
}
sub echoed {
  my ($size) = @_;
  for my $try (1 .. 2) {
    $sequence++;
    my @fields = ($v6 ? 128 : 8, 0, 0, $$ & 0xffff, $sequence);
    my $body = 'tsweave ' x ($size / 8 + 1);
    my $data = substr($body, 0, $size - $head);
    $fields[2] = checksum(pack('CCnnn', @fields) . $data) if !$v6;
    my $start = now();
    my $wait = defined $rtt && $fine ? 0.05 + 5 * $rtt / 1000 : 0.4;
    if (!defined send($s, pack('CCnnn', @fields) . $data, 0)) {
      return 0 if $!{EMSGSIZE};
      next if $!{EHOSTUNREACH} || $!{ECONNREFUSED};
      done("send: $!");
    }
    while ((my $left = $start + $wait - now()) > 0) {
      my $ready = '';
      vec($ready, fileno $s, 1) = 1;
      last if select($ready, undef, undef, $left) <= 0;
      next if !defined recv($s, my $reply, 70000, 0);
      $reply = substr($reply, 4 * (ord($reply) & 15)) if !$v6;
      my ($type, undef, undef, $id, $seen) = unpack('CCnnn', $reply);
      next if $type != ($v6 ? 129 : 0) || $id != ($$ & 0xffff) || $seen != $sequence;
      next if length($reply) != $size - ($v6 ? 40 : 20);
      my $took = (now() - $start) * 1000;
      $rtt = $took if !defined $rtt || $took < $rtt;
      return 1;
    }
  }
  return 0;
}
my ($low, $high) = ($v6 ? 1280 : 548, $most + 1);
done('no echo comes back') if !echoed($head + 56);
done(undef, $most) if echoed($most);
done(undef, undef) if !echoed($low);
while ($high - $low > 1) {
  my $middle = int(($low + $high) / 2);
  if (echoed($middle)) { $low = $middle } else { $high = $middle }
}
done(undef, $low);
`;

/**
 * Probes the path to a literal address up to `mostBytes`. `netns` is the path of the namespace to
 * probe from. Never rejects.
 */
export async function probePath(
  host: string,
  mostBytes: number,
  netns?: string,
): Promise<PathProbe> {
  const nothing = { rttMs: null, largestBytes: null };
  if (isIP(host) === 0) return { ...nothing, error: "not an address" };
  const enter = netns === undefined ? [] : ["nsenter", `--net=${netns}`];
  const { out, err, code } = await tool(
    [...enter, "perl", "-e", PROGRAM, host, String(mostBytes)],
    "",
    20_000,
  );
  try {
    const value: unknown = JSON.parse(out);
    if (!isRecord(value)) throw new Error("no answer");
    return {
      rttMs: typeof value.rttMs === "number" ? value.rttMs : null,
      largestBytes: typeof value.largestBytes === "number" ? value.largestBytes : null,
      error: typeof value.error === "string" ? value.error : null,
    };
  } catch {
    const why = err.split("\n")[0] || `perl ended with ${code}`;
    return { ...nothing, error: why.slice(0, 200) };
  }
}
