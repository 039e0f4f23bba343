/**
 * The helper as a Perl program: the same three sockets, the same words on the IPC channel, but
 * started in 5 ms where Node takes 65. Engines before 28 leave 150 to 200 ms between a sandbox's
 * birth and its first instruction, and on a busy host a Node process takes longer.
 *
 * Law: it opens and hands over, it decides nothing. Perl is part of every Debian (Essential); on
 * a host without it, or on a processor whose sendmsg number is not listed, the Node helper serves.
 */
import { access, constants } from "node:fs/promises";
import { UDP_BUFFER_BYTES } from "./protocol.ts";

/** System call number of sendmsg by Node's name of the processor. */
const SENDMSG: Readonly<Record<string, number>> = { x64: 46, arm64: 211, riscv64: 211 };
const PERL = "/usr/bin/perl";

/**
 * Core Perl without modules. The buffer is set by SO_RCVBUFFORCE, which root may. Node's IPC
 * channel carries JSON lines; a handle rides as SCM_RIGHTS (cmsg(3), unix(7)) on the first byte of
 * its line, announced as NODE_HANDLE.
 */
const PROGRAM = `
use strict; use warnings;
my ($sendmsg) = @ARGV;
open(my $ipc, '+<&=', $ENV{NODE_CHANNEL_FD}) or exit 2;
delete $ENV{NODE_CHANNEL_FD};
sub say_line {
  my ($line, $fd) = @_;
  $line .= "\\n";
  my $iov = pack('P Q', $line, length $line);
  my $rights = defined $fd ? pack('Q l l l x4', 20, 1, 1, $fd) : '';
  my $control = defined $fd ? pack('P Q', $rights, length $rights) : pack('Q Q', 0, 0);
  my $message = pack('Q L x4 P Q', 0, 0, $iov, 1) . $control . pack('Q', 0);
  my $sent = syscall($sendmsg, fileno $ipc, $message, 0);
  exit 1 if $sent != length $line;
}
sub fail {
  my ($code, $text) = @_;
  $text =~ s/[^ -~]+/ /g; $text =~ s/(["\\\\])/\\\\$1/g;
  say_line(qq({"type":"failed","code":"$code","text":"$text"}));
  exit 0;
}
sub opened {
  my ($type, $address, @ports) = @_;
  socket(my $socket, 2, $type, 0) or fail('COMMAND_FAILED', "socket: $!");
  my $at = sub { pack('S n C4 x8', 2, $_[0], split(/\\./, $address)) };
  my $bound = 0;
  for my $port (@ports, 0) { $bound ||= bind($socket, $at->($port)); }
  $bound or fail('COMMAND_FAILED', "bind $address: $!");
  listen($socket, 511) or fail('COMMAND_FAILED', "listen: $!") if $type == 1;
  setsockopt($socket, 1, 33, pack('l', ${UDP_BUFFER_BYTES})) if $type == 2;
  my (undef, $port) = unpack('S n', getsockname($socket));
  return ($socket, $port);
}
my ($udp, $udp_port, $tcp, $tcp_port);
if (!$ENV{TSWEAVE_KEPT_PORTS}) {
  ($udp, $udp_port) = opened(2, '127.0.0.11', $ENV{TSWEAVE_UDP_PORT});
  ($tcp, $tcp_port) = opened(1, '127.0.0.11');
}
my ($upstream, $upstream_port) = opened(2, '127.0.0.1');
my $handle = '{"cmd":"NODE_HANDLE","type":"%s","dgramType":"udp4",'
  . '"msg":{"type":"socket","role":"%s"}}';
say_line(sprintf($handle, 'dgram.Socket', 'udp'), fileno $udp) if defined $udp;
say_line(sprintf($handle, 'net.Server', 'tcp'), fileno $tcp) if defined $tcp;
say_line(sprintf($handle, 'dgram.Socket', 'upstream'), fileno $upstream);
while (1) {
  my $line = <$ipc>;
  exit 1 if !defined $line;
  last if $line =~ /"type":"install"/;
}
close $_ for grep { defined } $udp, $tcp, $upstream;
my $rules = $ENV{TSWEAVE_RULES};
$rules =~ s/UDP_PORT/$udp_port/; $rules =~ s/TCP_PORT/$tcp_port/;
$rules =~ s/UPSTREAM_PORT/$upstream_port/;
pipe(my $from, my $to) or fail('COMMAND_FAILED', "pipe: $!");
my $nft = open(my $input, '|-');
fail('COMMAND_FAILED', "fork: $!") if !defined $nft;
if (!$nft) {
  open(STDERR, '>&', $to); close $from; close $to;
  exec { 'nft' } 'nft', '-f', '-' or print STDERR "exec nft: $!";
  exit 127;
}
close $to;
print $input $rules;
close $input;
my $status = $? >> 8;
my $error = join ' ', <$from>;
fail('TOOL_MISSING', "cannot run nft: $error") if $status == 127;
fail($error =~ /not supported|No such file or directory|Protocol error/i
  ? 'KERNEL_LACKS' : 'COMMAND_FAILED', "nft: $error") if $status != 0;
say_line('{"type":"installed"}');
`;

/** The helper's command, or undefined where only the Node helper can serve. */
export async function perlHelper(
  architecture: string = process.arch,
): Promise<readonly string[] | undefined> {
  const number = SENDMSG[architecture];
  if (number === undefined) return undefined;
  try {
    await access(PERL, constants.X_OK);
  } catch {
    return undefined; // No Perl here: the Node helper serves.
  }
  return [PERL, "-e", PROGRAM, String(number)];
}
