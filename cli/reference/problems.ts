/**
 * What every health problem of `status` means and what helps. Codes that are errors as well
 * (DOCKER_UNREACHABLE, NOT_FOUNDED, …) are among the errors. A test holds this to the codes that
 * exist; each problem itself says more, with names.
 */
import type { CodeEntry } from "./errors.ts";

export const PROBLEM_REFERENCE: Readonly<Record<string, CodeEntry>> = {
  ADDRESS_CONFLICT: {
    meaning: "an address in use here was given to another container elsewhere",
    cure: "`docker restart` of the container that is named",
  },
  ADDRESS_GONE: {
    meaning: "this host has not the underlay address any more that peers use",
    cure: "give it another, which is followed; with `--advertise`: launch with the new one",
  },
  ADDRESS_TWICE: {
    meaning: "two containers have one address: both sides of a cut gave it with `--ip`",
    cure: "restart the container that is named; the other one keeps it",
  },
  ADDRESS_UNCLAIMED: {
    meaning: "an address in use here still belongs to another peer by the records",
    cure: "nothing while that peer is up; else start it, or `tsweave rmpeer` it",
  },
  ADOPTION_PENDING: {
    meaning: "another mesh is adopting this one, and not all have gone yet",
    cure: "start the hosts that are named",
  },
  ATTACHMENT: {
    meaning: "an attached namespace or process could not be served",
    cure: "as it says; `tsweave detach` and `tsweave attach` again",
  },
  CLONED_ID: {
    meaning: "another live peer uses this peer's id: its state directory is a copy",
    cure: "on one of the two: `tsweave stop`, remove the state directory, `tsweave launch`",
  },
  ENGINE_DIFFERS: {
    meaning: "a peer runs the other membership engine",
    cure: "the same `--membership` on all hosts",
  },
  GROUPS_FULL: {
    meaning: "containers here joined more multicast groups than other hosts are told of",
    cure: "`tsweave status groups` names the containers; their groups work on this host only",
  },
  GROUPS_UNREAD: {
    meaning: "a network's bridge does not snoop IGMP: other hosts send no multicast here",
    cure: "a kernel with CONFIG_BRIDGE_IGMP_SNOOPING, which every distribution's has",
  },
  KERNEL_DRIFT: {
    meaning: "the kernel is not as the tables say, and a pass could not mend it",
    cure: "`tsweave doctor`, `tsweave logs`; the next pass tries again",
  },
  MAC_TWICE: {
    meaning: "two containers have one MAC",
    cure: "start one of them without `--mac-address`",
  },
  MESH_CONFLICT: {
    meaning: "peers of another mesh are in reach: two meshes were founded apart",
    cure: "`tsweave adopt PEER` on the side that gives its mesh up",
  },
  NETWORK_CONFLICT: {
    meaning: "one name was given to two networks, on both sides of a cut or on one engine",
    cure: "on the host that is named: end its containers, `docker network rm NAME`",
  },
  NETWORK_DIFFERS: {
    meaning: "a network has other options here than in the mesh",
    cure: "on that host: end its containers, `docker network rm NAME`; it is made anew",
  },
  NETWORK_KEPT: {
    meaning: "a network was removed by others while containers here used it",
    cure: "end them, then it goes; or `tsweave network create NAME --subnet CIDR`",
  },
  NETWORK_LOCAL: {
    meaning: "a network is on this engine only",
    cure: "share it with `tsweave network create`, or `docker network rm` it",
  },
  NETWORK_MISSING: {
    meaning: "Docker has not the network that launch makes",
    cure: "the `docker network create` that the problem shows",
  },
  NETWORK_NOT_MADE: {
    meaning: "this engine cannot have a network of the mesh: its name or subnet is taken here",
    cure: "remove the other network, as it says; it is tried again",
  },
  NOT_ADMITTED: {
    meaning: "this host is not a member of the roster yet, so nobody gives it addresses",
    cure: "start the peers that are named; `tsweave rmpeer` those that are gone for good",
  },
  NO_DIRECT_PATH: {
    meaning:
      "a peer is up and only others reach it: from here neither it nor its containers can be",
    cure: "let the gossip and VXLAN ports pass between the two hosts; `tsweave ping PEER`",
  },
  PASSWORD_OUTDATED: {
    meaning: "the password given at launch was removed from the key ring",
    cure: "put the present password into the file that launch reads",
  },
  PEER_DEAD: {
    meaning: "a peer does not answer anybody; its names are withdrawn",
    cure: "start it; if it is gone for good, `tsweave rmpeer PEER`",
  },
  PEER_ENCRYPTED: {
    meaning: "a peer at a named address encrypts, this one does not",
    cure: "the same password on both: `--password-file`",
  },
  PEER_ID_SHARED: {
    meaning: "two running peers share one id: one is a clone",
    cure: "on one of them: `tsweave stop`, remove the state directory, `tsweave launch`",
  },
  PEER_PLAIN: {
    meaning: "a peer at a named address does not encrypt, this one does",
    cure: "the same password on both: `--password-file`",
  },
  PEER_SUPERSEDED: {
    meaning: "another process took over this peer's id",
    cure: "launch again; reset one of the two if one is a clone of the other",
  },
  PEER_SUSPECT: {
    meaning: "a peer does not answer just now, and is not given up yet",
    cure: "`ping` its address; `tsweave status` there",
  },
  ROSTER_PENDING: {
    meaning: "the removal of a peer, or the taking over of its addresses, is not finished",
    cure: "start the peers that are named; `tsweave rmpeer` those that are gone for good",
  },
  SEED_TAKEN: {
    meaning: "the share of this seed belongs to another peer",
    cure: "`tsweave rmpeer` it if it was this host before it lost its state; else rename one",
  },
  STATE_COPIED: {
    meaning: "the address journal was copied from another host; this peer began anew",
    cure: "nothing; `tsweave rmpeer` the other if it is gone for good",
  },
  STATE_DAMAGED: {
    meaning: "the address journal was damaged; this peer began anew with what could be read",
    cure: "check the disk; the damaged file is kept beside it",
  },
  STATE_SET_BACK: {
    meaning: "the state directory is an older copy; this peer began anew",
    cure: "nothing; do not restore it from snapshots",
  },
  OFFLOAD_BROKEN: {
    meaning: "checksums of container traffic left to the network card come out wrong",
    cure: "a newer driver or kernel; they are computed by the kernel meanwhile, if that helps",
  },
  PATH_NARROW: {
    meaning: "a path between hosts swallows packets that their routes allow; networks fit it",
    cure: "the same MTU on all that is between the hosts",
  },
  TUNNEL_BLOCKED: {
    meaning: "gossip with a peer passes, container traffic does not",
    cure: "let the UDP port of `--vxlan-port` pass both ways",
  },
  UNDERLAY_DIFFERS: {
    meaning: "a peer's container traffic goes over the other IP version",
    cure: "an address of one IP version first in `--advertise` on all hosts",
  },
  UNPLUGGED: {
    meaning: "a container is cut off: its veth pair is gone",
    cure: "`docker restart` of it",
  },
  WRONG_KEY: {
    meaning: "a peer at a named address uses another password",
    cure: "the same `--password-file` on both; `tsweave keys`",
  },
  VXLAN_PORT_DIFFERS: {
    meaning: "a peer's container traffic goes to another UDP port than this host's",
    cure: "the same `--vxlan-port` on all hosts",
  },
};
