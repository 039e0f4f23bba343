/** Bodies and answers as they come when nothing is wrong, one of each kind. */
import type { Json } from "../mutate-tree.ts";

const ID = "0123456789abcdef".repeat(4);

export const CONTROL: readonly Json[] = [
  { peers: [{ host: "192.168.48.12", port: 6783 }] },
  { action: "add", key: ID },
  { action: "remove", id: "01234567", force: true },
  { action: "use", id: "01" },
  { peers: ["host3", "192.168.48.13"], assertion: "gone-for-good" },
  { force: true, networks: false },
  { target: "/run/netns/blue", ip: "10.32.0.7/12", names: ["web"], gateway: false, dns: true },
  { code: "CONFIG", message: "wrong", hint: "do this" },
];

const ENDPOINT = { NetworkID: ID, EndpointID: ID };

export const PLUGIN: readonly Json[] = [
  {
    NetworkID: ID,
    Options: {
      "com.docker.network.enable_ipv6": false,
      "com.docker.network.internal": true,
      "com.docker.network.generic": { "com.docker.network.driver.mtu": "1450" },
    },
    IPv4Data: [
      {
        AddressSpace: "tsweaveglobal",
        Pool: "10.32.0.0/12",
        Gateway: "10.32.0.1/12",
        AuxAddresses: { router: "10.32.0.9/12" },
      },
    ],
    IPv6Data: [],
  },
  { NetworkID: ID },
  { ...ENDPOINT, Interface: { Address: "10.32.0.5/12", AddressIPv6: "", MacAddress: "" } },
  { ...ENDPOINT, SandboxKey: "/var/run/docker/netns/1", Options: {} },
  { AddressSpace: "tsweaveglobal", Pool: "10.32.0.0/12", SubPool: "", V6: false, Options: {} },
  { PoolID: "tsweave:10.32.0.0/12", Address: "", Options: { RequestAddressType: "x" } },
];

export const ENGINE: readonly Json[] = [
  {
    Name: "tsweave",
    Id: ID,
    Driver: "tsweave",
    Internal: false,
    IPAM: { Driver: "tsweave", Options: {}, Config: [{ Subnet: "10.32.0.0/12" }] },
    Containers: { [ID]: { Name: "web", EndpointID: ID, IPv4Address: "10.32.0.5/12" } },
    Options: { "com.docker.network.driver.mtu": "1450" },
  },
  {
    Id: ID,
    Name: "/web",
    State: { Running: true },
    Config: { Hostname: "web" },
    HostConfig: { Links: ["/db:/web/db"] },
    NetworkSettings: {
      SandboxKey: "/var/run/docker/netns/1",
      Networks: { tsweave: { NetworkID: ID, EndpointID: ID, Aliases: ["www"], Links: null } },
    },
  },
  [{ Id: ID }, { Id: ID }],
  { Type: "network", Action: "connect", Actor: { ID, Attributes: { container: ID, name: "x" } } },
  { Type: "container", Action: "start", Actor: { ID, Attributes: { name: "web" } } },
];

export const CONFIG: readonly Json[] = [
  { name: "host1", peers: ["192.168.48.12", "host3:6783"], port: 6783, "vxlan-port": 4789 },
  { "ipalloc-range": "10.32.0.0/12", network: "tsweave", mtu: 1400, "no-docker": true },
  { bind: "192.168.48.11", advertise: "192.168.48.11,fd00::11", "state-dir": "/var/lib/tsweave" },
  { "dns-domain": "tsweave.local", "log-level": "info", membership: "native", latency: "lan" },
];

export const OBSERVED: readonly Json[] = [
  [
    {
      ifname: "vxlan0",
      flags: ["UP"],
      mtu: 1450,
      address: "02:42:0a:20:00:01",
      master: "br0",
      addr_info: [{ local: "10.32.0.1", prefixlen: 12, scope: "global" }],
      linkinfo: {
        info_kind: "vxlan",
        info_data: { id: 256, port: 4789, proxy: true, l2miss: true, l3miss: true },
        info_slave_data: { learning: false },
      },
    },
  ],
  [{ dst: "10.32.0.5", lladdr: "02:42:0a:20:00:05", state: ["PERMANENT"] }],
  [{ mac: "02:42:0a:20:00:05", dst: "192.168.48.11", state: "permanent" }],
  [{ mac: "02:42:0a:20:00:06", master: "br0", state: "static" }, {}],
];
