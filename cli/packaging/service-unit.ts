/**
 * The systemd unit. Pure.
 *
 * Law: the plugin's socket is there before Docker starts, and being ready needs no Docker; a
 * restart or an upgrade leaves containers their network.
 */

/** `program` is the absolute path of the executable. */
export function serviceUnit(program: string): string {
  return `[Unit]
Description=tsweave, one flat network for the containers of many Docker hosts
Documentation=man:tsweave(1)
Wants=network-online.target
After=network-online.target
Before=docker.service

[Service]
Type=notify
NotifyAccess=all
EnvironmentFile=-/etc/default/tsweave
ExecStart=${program} launch --foreground --config /etc/tsweave/config.json
# After a crash: what the daemon would have given back itself, such as Docker's resolver.
ExecStopPost=-${program} doctor --fix --config /etc/tsweave/config.json
StateDirectory=tsweave
StateDirectoryMode=0700
RuntimeDirectory=tsweave
RuntimeDirectoryMode=0700
UMask=0077
WatchdogSec=30
TimeoutStartSec=90
TimeoutStopSec=35
KillMode=mixed
Restart=on-failure
RestartSec=2

[Install]
WantedBy=multi-user.target
`;
}
