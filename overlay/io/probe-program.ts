/**
 * The program that probes tunnels from inside the probe network: echoes of two sizes and a datagram
 * whose checksum is left to the device. Perl, for the reasons of dns/io and cli/doctor.
 *
 * Law: it sends to the addresses it is given, a few packets each, waits at most some seconds for
 * each, and prints one line of JSON an address.
 */

/** No tunnel is begun after so many seconds; the others are for the next time. */
const PROBE_SECONDS = 10;

/** argv: `ADDRESS=FULL_BYTES`… */
export const PROBE_PROGRAM = `
use strict; use warnings; use Socket qw(:DEFAULT :addrinfo); use Time::HiRes;
$| = 1;
my ($sequence, $rtt, $s, $v6, $head);
sub now { Time::HiRes::time() }
sub opened {
  my ($host, $type, $protocol) = @_;
  my ($failed, $found) = getaddrinfo($host, '9', { flags => AI_NUMERICHOST });
  return if $failed;
  socket(my $one, $v6 ? AF_INET6 : AF_INET, $type, $protocol) or return;
  setsockopt($one, $v6 ? 41 : 0, $v6 ? 23 : 10, pack('i', 3));
  connect($one, $found->{addr}) or return;
  return $one;
}
sub checksum {
  my ($bytes) = @_;
  my $sum = unpack('%32n*', length($bytes) % 2 ? $bytes . "\\0" : $bytes);
  $sum = ($sum >> 16) + ($sum & 0xffff) while $sum >> 16;
  return ~$sum & 0xffff;
}
sub ready {
  my ($socket, $left) = @_;
  my $bits = '';
  vec($bits, fileno $socket, 1) = 1;
  return select($bits, undef, undef, $left) > 0;
}
sub echoed {
  my ($size) = @_;
  $sequence++;
  my @fields = ($v6 ? 128 : 8, 0, 0, $$ & 0xffff, $sequence & 0xffff);
  my $data = substr('tsweave ' x ($size / 8 + 1), 0, $size - $head);
  $fields[2] = checksum(pack('CCnnn', @fields) . $data) if !$v6;
  my $start = now();
  my $wait = defined $rtt ? 0.1 + 4 * $rtt : 0.7;
  return 0 if !defined send($s, pack('CCnnn', @fields) . $data, 0);
  while ((my $left = $start + $wait - now()) > 0) {
    last if !ready($s, $left);
    next if !defined recv($s, my $reply, 70000, 0);
    $reply = substr($reply, 4 * (ord($reply) & 15)) if !$v6;
    next if length($reply) < 8;
    my ($type, undef, undef, $id, $seen) = unpack('CCnnn', $reply);
    next if $type != ($v6 ? 129 : 0) || $id != ($$ & 0xffff) || $seen != ($sequence & 0xffff);
    next if length($reply) != $size - ($v6 ? 40 : 20);
    my $took = now() - $start;
    $rtt = $took if !defined $rtt || $took < $rtt;
    return 1;
  }
  return 0;
}
sub any { my ($size, $tries) = @_; for (1 .. $tries) { return 1 if echoed($size) } return 0 }
# Nobody listens: the answer is an ICMP error, and only to a datagram whose checksum was right.
sub checked {
  my ($host, $segment) = @_;
  for my $try (1 .. 3) {
    my $udp = opened($host, SOCK_DGRAM, 17) or return 0;
    setsockopt($udp, 17, 103, pack('i', $segment)) if $segment;
    my $data = 'tsweave ' x 25;
    send($udp, $segment ? $data x 3 : $data, 0);
    if (ready($udp, defined $rtt ? 0.1 + 4 * $rtt : 0.7)) {
      recv($udp, my $reply, 100, 0);
      return 1 if $!{ECONNREFUSED};
    }
  }
  return 0;
}
my $begin = now();
for my $errand (@ARGV) {
  last if now() - $begin > ${PROBE_SECONDS};
  my ($host, $full) = split /=/, $errand;
  ($sequence, $rtt, $v6) = (0, undef, $host =~ /:/ ? 1 : 0);
  $head = $v6 ? 48 : 28;
  $s = opened($host, SOCK_RAW, $v6 ? 58 : 1);
  my ($small, $whole, $largest, $checked) = (0, 0, 0, 'null');
  if ($s) {
    for (1 .. 3) { $small++ if echoed($head + 56) }
    $whole = any($full, 3) if $small > 0;
    if ($small == 3) {
      $checked = checked($host, 0) && checked($host, 200) ? 'true' : 'false';
      my ($low, $high) = ($head + 56, $full);
      while (!$whole && $high - $low > 1) {
        my $middle = int(($low + $high) / 2);
        if (any($middle, 2)) { $low = $middle } else { $high = $middle }
      }
      $largest = $low;
    }
  }
  my @shown = ($whole ? 'true' : 'false', $whole || !$largest ? 'null' : $largest, $checked);
  printf '{"vtep":"%s","small":%d,"isFull":%s,"largestBytes":%s,"isChecked":%s}' . "\\n",
    $host, $small, @shown;
}
`;
/** Echoes of the small size that the program sends. */
export const PROBE_TRIES = 3;

/** argv: a device and `on`, `off`; ETHTOOL_STXCSUM by SIOCETHTOOL, as ethtool does it. */
export const OFFLOAD_PROGRAM = `
use strict; use warnings; use Socket;
my ($device, $wish) = @ARGV;
socket(my $s, AF_INET, SOCK_DGRAM, 0) or exit 1;
my $value = pack('LL', 0x17, $wish eq 'on' ? 1 : 0);
my $request = pack('a16 P x16', $device, $value);
exit(ioctl($s, 0x8946, $request) ? 0 : 1);
`;
