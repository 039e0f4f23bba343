/**
 * A long cable: every frame of a host arrives late, in both directions. Many kernels have no netem,
 * so a process sits in the cable, between two devices of the LAN, and holds what it reads.
 *
 *     lan0 ── h3 ═ veth ═ h3-near ── relay ── h3-far ═ veth ═ eth0 of the host
 *
 * Law: the port on the bridge keeps the host's name, so partitions and loss work as before. What
 * is under way when the delay changes still takes its time: newer frames then overtake it.
 */
import { run } from "./exec.ts";
import { BRIDGE, inLan } from "./lan.ts";
import { holderPid, startHolder, stopHolder } from "./processes.ts";
import { labPaths } from "./record.ts";

/**
 * packet(7), with the virtio header (PACKET_VNET_HDR) so that frames which the kernel has not cut
 * and summed yet pass unharmed. BOUNDED: what the LAN sends in the delay, in memory.
 */
const RELAY = `
use strict; use warnings; use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
my ($delay, @names) = @ARGV;
$SIG{USR1} = sub { $delay = 0 };
sub opened {
  my ($name) = @_;
  open(my $file, '<', "/sys/class/net/$name/ifindex") or die "$name: $!";
  chomp(my $index = <$file>);
  socket(my $socket, 17, 3, 0x0300) or die "socket: $!";
  setsockopt($socket, 263, 15, pack('i', 1)) or die "PACKET_VNET_HDR: $!";
  setsockopt($socket, 263, 23, pack('i', 1)) or die "PACKET_IGNORE_OUTGOING: $!";
  bind($socket, pack('S n i S C C a8', 17, 3, $index, 0, 0, 0, '')) or die "bind $name: $!";
  return $socket;
}
my @ends = map { opened($_) } @names;
my @held;
$| = 1; print "ready\\n"; open(STDOUT, '>', '/dev/null');
while (1) {
  my $now = clock_gettime(CLOCK_MONOTONIC);
  while (@held && $held[0][0] <= $now) {
    my (undef, $to, $frame) = @{shift @held};
    syswrite($to, $frame);
  }
  my $bits = '';
  vec($bits, fileno $_, 1) = 1 for @ends;
  my $found = select($bits, undef, undef, @held ? $held[0][0] - $now : undef);
  next if $found <= 0;
  for my $at (0, 1) {
    next unless vec($bits, fileno $ends[$at], 1);
    # A device that is gone (the host was switched off) ends the relay.
    sysread($ends[$at], my $frame, 70_000) or exit 0;
    my $to = $ends[1 - $at];
    if ($delay == 0) { syswrite($to, $frame) }
    else { push @held, [clock_gettime(CLOCK_MONOTONIC) + $delay / 1000, $to, $frame] }
  }
}`;

/** A sysfs of the LAN's own namespace, which tells the devices' numbers. */
const WITH_SYSFS = 'mount -t sysfs sysfs /sys && exec perl -e "$@"';

/** Holds each frame to and from a host for so long, until its next boot; 0: no more. */
export async function applyDelay(lab: string, host: string, delayMs: number): Promise<void> {
  const paths = labPaths(lab);
  const role = `delay-${host}`;
  const pid = holderPid(paths.holder(role));
  if (delayMs === 0) {
    if (pid !== undefined) process.kill(pid, "SIGUSR1");
    return;
  }
  const [near, far] = [`${host}-near`, `${host}-far`];
  if (pid === undefined) await lengthen(lab, host, near, far);
  await stopHolder(paths.holder(role));
  const enter = [...inLan(lab), "unshare", "--mount", "sh", "-c", WITH_SYSFS, "sh"];
  await startHolder(paths.holder(role), paths.log(role), [
    ...enter,
    ...[RELAY, String(delayMs), near, far],
  ]);
}

/** Puts the two devices into the cable. Nothing passes until the relay runs. */
async function lengthen(lab: string, host: string, near: string, far: string): Promise<void> {
  const lines = [
    `link set dev ${host} down`,
    `link set dev ${host} nomaster name ${far}`,
    `link add name ${host} type veth peer name ${near}`,
    `link set dev ${host} master ${BRIDGE} up`,
    `link set dev ${near} up`,
    `link set dev ${far} up`,
  ];
  const input = `${lines.join("\n")}\n`;
  await run([...inLan(lab), "ip", "-batch", "-"], { input });
}
