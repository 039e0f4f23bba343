/**
 * config.json of the Docker managed plugin, and the Dockerfile of the image. Pure.
 *
 * Law: nothing that containers need lives inside: namespaces are named on the host, state is the
 * host's, so disabling or replacing plugin or container costs running containers no packet.
 */

/** What it mounts of the host, each with why. */
const MOUNTS = [
  // Overlay namespaces must outlive the plugin, so their names are made on the host.
  { name: "netns", source: "/run/netns", destination: "/run/netns", options: ["rbind", "rshared"] },
  // Containers' sandboxes, which appear while it runs.
  {
    name: "sandboxes",
    source: "/run/docker/netns",
    destination: "/run/docker/netns",
    options: ["rbind", "rslave"],
  },
  {
    name: "engine",
    source: "/run/docker.sock",
    destination: "/run/docker.sock",
    options: ["rbind"],
  },
  {
    name: "control",
    source: "/run/tsweave",
    destination: "/run/tsweave",
    options: ["rbind"],
  },
  {
    name: "state",
    source: "/var/lib/tsweave",
    destination: "/var/lib/tsweave",
    options: ["rbind"],
  },
];

/** Settings that `docker plugin set` may change; further ones are in the state directory's file. */
const SETTINGS = ["PEERS", "NAME", "ADVERTISE", "IPALLOC_RANGE", "PASSWORD_FILE", "CONFIG"];

/** `docker plugin create` takes it beside rootfs/. `name` is NAME:TAG of the plugin. */
export function pluginConfig(name: string): object {
  // Docker mounts /proc/sys read-only, and the overlay's own switches are there.
  const start = "mount -o remount,rw,bind /proc/sys && exec tsweave launch --foreground";
  return {
    description: "tsweave: one flat network for the containers of many Docker hosts",
    documentation: "tsweave help; see cli/README.md of the source",
    entrypoint: ["/bin/sh", "-c", start],
    workdir: "/",
    interface: {
      types: ["docker.networkdriver/1.0", "docker.ipamdriver/1.0"],
      socket: "tsweave.sock",
    },
    network: { type: "host" },
    pidhost: true,
    ipchost: false,
    // Its being there makes Docker share mounts with the host, which /run/netns needs.
    propagatedMount: "/run/propagated",
    linux: {
      capabilities: ["SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_PTRACE", "SYS_MODULE"].map(
        (word) => `CAP_${word}`,
      ),
      allowAllDevices: false,
      devices: [],
    },
    mounts: MOUNTS.map((mount) => ({ ...mount, type: "bind", description: "", settable: null })),
    env: [
      { name: "TSWEAVE_PLUGIN_NAME", description: "its own name", value: name, settable: null },
      ...SETTINGS.map((word) => ({
        name: `TSWEAVE_${word}`,
        description: `--${word.toLowerCase().replaceAll("_", "-")} of tsweave launch`,
        value: "",
        settable: ["value"],
      })),
    ],
    args: { name: "args", description: "none", settable: null, value: [] },
  };
}

/** Beside rootfs.tar; needs no other image. */
export function dockerfile(version: string): string {
  return `FROM scratch
ADD rootfs.tar /
LABEL org.opencontainers.image.title=tsweave org.opencontainers.image.version=${version}
ENV PATH=/usr/sbin:/usr/bin
ENTRYPOINT ["tsweave"]
CMD ["launch", "--foreground"]
`;
}
