/** Rendering: exact lines, grouping, and no word that could be more than a word. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { failureCure, failureText, isGone, readBatchErrors } from "../../../overlay/failures.ts";
import { batchText, render } from "../../../overlay/render.ts";
import type { Step } from "../../../overlay/state.ts";

const netns = "tsweave-0123456789";
const mac = "02:42:0a:20:00:09";

const SNOOPING =
  "mcast_snooping 1 mcast_query_use_ifaddr 1 mcast_hash_max 16384 " +
  "mcast_query_response_interval 100";

const LINES: readonly [Step, string, string][] = [
  [{ kind: "netns-add", netns }, "ip", `netns add ${netns}`],
  [{ kind: "netns-del", netns }, "ip", `netns del ${netns}`],
  [{ kind: "loopback-up", netns }, "ip", "link set dev lo up"],
  [
    { kind: "bridge-add", netns, mac, mtuBytes: 1450 },
    "ip",
    `link add br0 mtu 1450 address ${mac} type bridge stp_state 0 ${SNOOPING}`,
  ],
  [
    { kind: "bridge-set", netns, mac, mtuBytes: 1450 },
    "ip",
    `link set dev br0 mtu 1450 address ${mac} up type bridge stp_state 0 ${SNOOPING} ` +
      "mcast_querier 1",
  ],
  [
    { kind: "vxlan-add", netns, vni: 256, port: 4789, mtuBytes: 1450, underlay: 4 },
    "ip",
    "link add vxlan0 mtu 1450 link-netns HOST type vxlan id 256 dstport 4789 " +
      "nolearning proxy l2miss l3miss",
  ],
  [
    { kind: "vxlan-add", netns, vni: 256, port: 4789, mtuBytes: 1430, underlay: 6 },
    "ip",
    "link add vxlan0 mtu 1430 link-netns HOST type vxlan id 256 dstport 4789 " +
      "nolearning proxy l2miss l3miss local :: udp6zerocsumrx",
  ],
  [
    { kind: "port-set", netns, device: "vxlan0", mtuBytes: 1450 },
    "ip",
    "link set dev vxlan0 mtu 1450 master br0 up",
  ],
  [
    { kind: "learning-off", netns },
    "ip",
    "link set dev vxlan0 type bridge_slave learning off mcast_router 2",
  ],
  [
    {
      kind: "veth-add",
      netns,
      overlayEnd: "veth1234567",
      containerEnd: "tswc1234567",
      mac,
      mtuBytes: 1450,
    },
    "ip",
    "link add veth1234567 mtu 1450 master br0 up type veth " +
      `peer name tswc1234567 mtu 1450 address ${mac} netns HOST`,
  ],
  [
    { kind: "neigh-put", netns, ip: "10.32.0.9", mac },
    "ip",
    `neigh replace 10.32.0.9 lladdr ${mac} dev vxlan0 nud permanent`,
  ],
  [
    { kind: "forward-put", netns, mac, vtep: "192.0.2.2" },
    "bridge",
    `fdb replace ${mac} dev vxlan0 dst 192.0.2.2 self permanent`,
  ],
  [
    { kind: "copy-put", netns, mac: "01:00:5e:01:01:01", vtep: "192.0.2.2" },
    "bridge",
    "fdb append 01:00:5e:01:01:01 dev vxlan0 dst 192.0.2.2 self permanent",
  ],
  [
    { kind: "copy-del", netns, mac: "01:00:5e:01:01:01", vtep: "192.0.2.2" },
    "bridge",
    "fdb del 01:00:5e:01:01:01 dev vxlan0 dst 192.0.2.2 self",
  ],
  [
    { kind: "steer-put", netns, mac },
    "bridge",
    `fdb replace ${mac} dev vxlan0 master static sticky`,
  ],
  [
    { kind: "steer-put", netns, mac, direct: true },
    "bridge",
    `fdb replace ${mac} dev gw0 master static sticky`,
  ],
  [{ kind: "steer-del", netns, mac, direct: true }, "bridge", `fdb del ${mac} dev gw0 master`],
];

for (const [step, tool, line] of LINES) {
  test(`one line for ${step.kind}`, () => {
    const batches = render([step], "HOST");
    assert.deepEqual(
      batches.map((batch) => [batch.tool, ...batch.lines]),
      [[tool, line]],
    );
  });
}

test("consecutive steps of one tool and namespace share a batch, in order", () => {
  const other = "tsweave-aaaaaaaaaa";
  const steps: Step[] = [
    { kind: "netns-add", netns },
    { kind: "loopback-up", netns },
    { kind: "learning-off", netns },
    { kind: "neigh-put", netns, ip: "10.32.0.9", mac },
    { kind: "neigh-del", netns, ip: "10.32.0.8" },
    { kind: "steer-put", netns, mac },
    { kind: "steer-put", netns: other, mac },
  ];
  const shape = render(steps, "HOST").map((b) => [b.tool, b.netns, b.lines.length, b.entriesOnly]);
  assert.deepEqual(shape, [
    ["ip", undefined, 1, false],
    ["ip", netns, 2, false],
    ["ip", netns, 2, true],
    ["bridge", netns, 1, true],
    ["bridge", other, 1, true],
  ]);
  assert.match(batchText(render(steps, "HOST")), /^# ip -batch -\nnetns add tsweave-0123456789\n/);
});

test("a word with a space or a newline never reaches a batch", () => {
  for (const vtep of ["192.0.2.2 port 1", "192.0.2.2\nlink del dev eth0", "", "$(reboot)"]) {
    assert.throws(() => render([{ kind: "forward-put", netns, mac, vtep }], "HOST"), /plain word/);
  }
});

test("batch errors are found by line, a crash by what follows", () => {
  const stderr =
    'Cannot find device "nope"\nCommand failed -:1\nRTNETLINK answers: File exists\n' +
    'Command failed -:3\nError: argument "br1" is wrong: Device does not exist\n';
  const { byLine, crash } = readBatchErrors(stderr);
  assert.deepEqual(
    [...byLine],
    [
      [1, 'Cannot find device "nope"'],
      [3, "RTNETLINK answers: File exists"],
    ],
  );
  assert.match(crash ?? "", /br1/);
  assert.equal(readBatchErrors("").crash, undefined);
});

test("only a deletion of what is gone is forgiven", () => {
  const error = "RTNETLINK answers: No such file or directory";
  assert.ok(isGone({ step: { kind: "neigh-del", netns, ip: "10.32.0.9" }, error }));
  assert.ok(!isGone({ step: { kind: "neigh-put", netns, ip: "10.32.0.9", mac }, error }));
  const busy = "RTNETLINK answers: Device or resource busy";
  assert.ok(!isGone({ step: { kind: "neigh-del", netns, ip: "10.32.0.9" }, error: busy }));
});

test("a VNI that another device of the host has is said in words, with the cure", () => {
  const add = { kind: "vxlan-add", netns: "n", vni: 256, port: 4789, mtuBytes: 1450 } as const;
  const step = { ...add, underlay: 4 } as const;
  for (const error of [
    "Error: A VXLAN device with the specified VNI already exists.",
    "RTNETLINK answers: File exists",
  ]) {
    const text = failureText({ step, error });
    assert.match(text, /^VNI 256 on UDP 4789 belongs to another VXLAN device/);
    assert.match(failureCure(`network tsweave: ${text}`) ?? "", /--vxlan-port/);
  }
  const other = failureText({ step, error: "Operation not permitted" });
  assert.equal(other, "vxlan-add: Operation not permitted");
  assert.equal(failureCure(other), undefined);
});
