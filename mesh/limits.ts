/**
 * Every bound and timeout of the product with its reason, so that nothing that a peer, a container
 * or an engine sends can make memory or work grow without limit.
 *
 * Law: a Map, Set or queue that outside input can fill names its bound from here.
 */

export const LIMITS = {
  /** Underlay MTU 1400 is common behind tunnels; 1350 leaves room for IPv6 and UDP headers. */
  datagramBytesMax: 1350,
  /** What one datagram carries: less envelope and seal (39 bytes), whether sealed or not. */
  datagramPayloadBytesMax: 1350 - 39,
  /** One stream frame: a snapshot of the largest origin fits with room to spare. */
  streamFrameBytesMax: 16 * 1024 * 1024,
  /** What one stream frame carries: less envelope and seal. */
  streamPayloadBytesMax: 16 * 1024 * 1024 - 64,
  /** Concurrent streams served; more are refused at accept. */
  streamsMax: 128,
  /** Peers of one mesh, dead ones included. */
  peersMax: 4096,
  /** Addresses that one peer announces: two networks of both families. */
  addressesPerPeerMax: 4,
  /** Rows one origin may hold: a host has at most a few thousand containers. */
  rowsPerOriginMax: 16_384,
  /** Bytes of one encoded row: the ownership map of a fragmented pool is the largest. */
  rowBytesMax: 128 * 1024,
  /** Characters of a row's key. */
  rowKeyLengthMax: 200,
  /** Bytes of deltas in one answer of a digest exchange; the rest follows in the next. */
  syncBytesMax: 4 * 1024 * 1024,
  /** Bytes of all rows of one origin: its whole log must fit one stream frame. */
  originBytesMax: 8 * 1024 * 1024,
  /** Live peers up to which a fresh row goes directly to each; above it by range relay. */
  directPeersMax: 32,
  /** Pushes a peer relays for others at the same time; more are left to other heads. */
  relayJobsMax: 256,
  /** Acknowledgements that wait for what rows cause; one more is left to its sender's next try. */
  waitingAcksMax: 4096,
  /** Tombstones an origin keeps before it raises its floor. */
  tombstonesMax: 1024,
  /** msgpack nesting depth accepted from the wire. */
  wireDepthMax: 16,
  /** Elements of one msgpack array accepted from the wire. */
  wireItemsMax: 65_536,
  /** Keys of one ring: a rotation needs two, one begun before the last ended three. */
  sealKeysMax: 8,
  /** Sessions of others that are remembered: every peer and a former life, 0.5 KiB each. */
  sealSendersMax: 8192,
  /** Datagrams that wait until their session has proved itself. */
  sealHeldMax: 1024,
  /** Senders that are not understood, named in status; more are only counted. */
  strangersMax: 64,
  /** Bytes of a password. */
  passwordBytesMax: 1024,
  /** Networks of one mesh. */
  networksMax: 1024,
  /** Names of networks that are remembered, removed ones included; the oldest of those go. */
  chartersMax: 2048,
  /** Makings of one network name that stand at the same time, its labels and its addresses. */
  charterPartsMax: 32,
  /** Bytes of a network's labels; longer ones stay on the engine that has them. */
  networkLabelBytesMax: 2048,
  /** Multicast groups of one endpoint, and of one host's on a network, that others are told of. */
  groupsPerEndpointMax: 128,
  groupsPerHostMax: 1024,
  /** Copies of multicast frames that one host programs for a network: groups times hosts. */
  groupCopiesMax: 16_384,
  /** Hosts with endpoints of a network up to which broadcast is copied to each. */
  broadcastPeersMax: 64,
  /** Names of one container, aliases included. */
  namesPerEndpointMax: 32,
  /** Intervals of one pool's ownership map accepted from one peer. */
  intervalsPerRowMax: 2048,
  /** Founders of a mesh, 51 bytes each in its record; later peers ask for space. */
  foundersMax: 1024,
  /** Addresses of peers that were met, kept to find the mesh again after a boot. */
  contactsMax: 64,
  /** Members that decide on the roster: five survive two losses, more only cost messages. */
  electorsMax: 5,
  /** Removed stores that a roster still names, for people; safety rests on who is a member. */
  formerMax: 256,
  /** Decisions of a roster that were made without a majority, by an operator's word. */
  branchesMax: 1024,
  /** Peers that one forget or one question of admission names at most. */
  wishesMax: 256,
  /** Peers named at launch, as a voter reports them. */
  declaredMax: 256,
  /** Addresses one host may hold or let rest in one pool: a few thousand containers and room. */
  leasesMax: 65_536,
  /** `--link` aliases of one container. */
  linksPerEndpointMax: 1024,
  /** One answer of the Docker Engine: a network with ten thousand endpoints is about 3 MiB. */
  engineReplyBytesMax: 16 * 1024 * 1024,
  /** One event of the Docker Engine with all labels of its container. */
  engineEventBytesMax: 256 * 1024,
  /** Containers asked about at the same time when the daemon starts. */
  engineCallsAtOnceMax: 8,
  /** Body of one Docker plugin call or control call. */
  requestBytesMax: 1024 * 1024,
  /** Ports that one container exposes and DNS tells of. */
  portsPerEndpointMax: 64,
  /** Names of outside services that one host adds. */
  servicesMax: 4096,
  /** Clients of one sandbox that wait for Docker's resolver; one more is answered SERVFAIL. */
  dnsInflightPerSandboxMax: 2048,
  /** Questions sent to Docker's resolver at a time: 20.10's socket buffer and limit hold 100. */
  dnsForwardAtOnceMax: 64,
  /** Replies to forwarded questions that one sandbox keeps for some seconds, and their bytes. */
  dnsCacheEntriesMax: 256,
  dnsCacheReplyBytesMax: 1232,
  /** Queries of one sandbox that are looked at: a second, and at once after a quiet while. */
  dnsQueriesPerSecondMax: 20_000,
  dnsQueriesBurstMax: 40_000,
  /** One forwarded or TCP query, and the UDP size offered to resolvers: EDNS's usual ceiling. */
  dnsMessageBytesMax: 4096,
  /** TCP connections to one sandbox's resolver; more are closed at accept. */
  dnsTcpConnectionsMax: 64,
  /** Bytes a TCP client may leave unread before its connection is cut. */
  dnsTcpBacklogBytesMax: 1024 * 1024,
  /** Sandboxes with a DNS hook on one host. */
  dnsSandboxesMax: 4096,
} as const;

export const TIMES = {
  /** How long Join waits for reachable peers to acknowledge a row before it answers anyway. */
  announceMs: 400,
  /** First retransmission of an unacknowledged push; a LAN answers within a millisecond. */
  pushRetryMs: 20,
  /** Retransmissions of a relayed push at each of its two hops: three round trips, within these. */
  relayRetryMs: 12,
  relayRetryMsMax: 400,
  /** Pushes of one head to a member of its range. */
  relayTries: 5,
  /** Retransmissions before the digest exchange is left to repair. */
  pushTries: 5,
  /** One digest to one random peer each interval: a lost push is repaired within about a second. */
  digestIntervalMs: 1000,
  /** The same where probes carry half of the hash: finds what differs in the other half only. */
  digestCarriedIntervalMs: 30_000,
  /** Deadline of one request over a stream between peers. */
  streamDeadlineMs: 5000,
  /** A session that has yet to prove itself is asked at most this often. */
  sealChallengeMs: 20,
  /** A datagram sent so long before its session's first proof still counts as new. */
  sealFreshMs: 5000,
  /** Where authentic packets came from so lately, one that does not open is damage. */
  strangerDoubtMs: 10_000,
  /** A sender that is not understood is logged at most this often. */
  strangerLogMs: 60_000,
  /** A sender that is not understood and silent for so long is no longer shown. */
  strangerFadeMs: 30_000,
  /** Names of a dead host go at once, its kernel entries stay this long. */
  deadGraceMs: 60_000,
  /** Names of a host whose daemon alone is down stay this long: an upgrade takes some seconds. */
  restartGraceMs: 10_000,
  /** The rows of a peer that is not here and silent are dropped after this; they return with it. */
  forgetAfterMs: 24 * 3600 * 1000,
  /** How often it is looked at who is absent, and whose address another has. */
  forgetCheckMs: 5_000,
  /** Full observe and diff of the kernel, hints or not. */
  reconcileIntervalMs: 30_000,
  /** A released address rests before it is given out again. */
  addressQuarantineMs: 30_000,
  /** How long the founding waits for every declared peer before a majority goes on. */
  foundingGraceMs: 1500,
  /** Deadline of one founding message; its retries are spread over one to two of these. */
  foundingCallMs: 1000,
  /** Deadline of one question about the roster. */
  rosterCallMs: 1000,
  /** First and longest pause between tries to change the roster or to take space over. */
  rosterRetryMs: 500,
  rosterRetryMsMax: 10_000,
  /** How long `forget` and `leave` wait for the decision before they say what they wait for. */
  departureDeadlineMs: 5000,
  /** An allocation that must wait (no founding, no space) gives up after this. */
  allocateDeadlineMs: 5000,
  /** Deadline of one request for space or for a single address. */
  spaceCallMs: 1500,
  /** First and longest pause between rounds of requests for space. */
  spaceRetryMs: 500,
  spaceRetryMsMax: 30_000,
  /** Use counts are published at most this often: they inform, they decide nothing. */
  useCountMs: 2000,
  /** Allocated but never joined: a broken engine call's address is taken back after this. */
  orphanLeaseMs: 60_000,
  /** TTL of our DNS answers. */
  dnsTtlSeconds: 5,
  /** How long the reply to a forwarded question is kept, if it says so itself. */
  dnsCacheMs: 5000,
  /** A question sent to Docker's resolver so long ago waits for somebody else: the next may go. */
  dnsForwardYoungMs: 250,
  /** A client that asks again this long after its question was sent has it sent again. */
  dnsForwardAgainMs: 1000,
  /** A forwarded query without an answer gets SERVFAIL; Docker itself gives up sooner. */
  dnsForwardMs: 10_000,
  /** The same where every network is internal: nothing outside can answer, so within a second. */
  dnsForwardInternalMs: 900,
  /** Opening a sandbox's DNS hook; it takes about a tenth of a second on an idle host. */
  dnsHookMs: 5000,
  /** Removing a sandbox's DNS hook. */
  dnsRestoreMs: 2000,
  /** A DNS client's TCP connection that says nothing is closed (RFC 7766 §6.2.3). */
  dnsTcpIdleMs: 10_000,
  /** First pause before the hook of a sandbox whose forwarded queries all fail is opened anew. */
  dnsDeafPauseMs: 60_000,
  /** Deadline of an ordinary call to the Docker Engine. */
  engineCallMs: 5000,
  /** What a driver call may spend on asking the engine, which may be down or starting. */
  engineAskMs: 300,
  /** An inspect of a container that is being started answers when the start is over. */
  engineStartMs: 60_000,
  /** First and longest pause between tries to follow the engine's events. */
  engineRetryMs: 250,
  engineRetryMsMax: 5000,
  /** Full comparison with the engine, events or not. */
  engineSyncMs: 30_000,
  /** What the engine does not list in two comparisons this far apart is gone. */
  engineAbsentMs: 5000,
  /** What a full disk did not take is tried again after this: soon, and no load while it lasts. */
  storeRetryMs: 3000,
  /** A plugin call that takes longer is answered with an error: Docker itself never gives up. */
  pluginCallMs: 20_000,
  /** Engines before 28 make a sandbox about 200 ms after Join; under load it may take seconds. */
  sandboxWaitMs: 30_000,
  /** How long Join waits for the name hook of a sandbox that already exists. */
  sandboxHookMs: 2000,
  /** A pool or address given out this short a time ago may still be on its way into use. */
  engineInFlightMs: 10_000,
} as const;
