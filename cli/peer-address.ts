/**
 * Peers as people write them: host, host:port, [IPv6] or [IPv6]:port.
 *
 * Law: a text is either clearly a peer or refused; `10.0.0.300` is not looked up as a name.
 */
import { isIP, isIPv6 } from "node:net";
import { type ErrorCode, type HostPort, TsweaveError } from "../mesh/index.ts";

export { formatHostPort } from "../mesh/index.ts";

const NAME =
  /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i;
const HINT = "write host, host:port or [IPv6]:port";

/** `host` may be a name. @throws TsweaveError of the given code. */
export function parsePeer(text: string, defaultPort: number, code: ErrorCode = "CONFIG"): HostPort {
  const refuse = (reason: string, hint = HINT) =>
    new TsweaveError(code, `peer '${text.slice(0, 100)}' ${reason}`, { hint });
  if (isIPv6(text)) throw refuse("is an IPv6 address without brackets", `write [${text}]`);
  const parts = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/.exec(text);
  if (parts === null) throw refuse("is not an address");
  const [, bracketed, bare = "", portText] = parts;
  const host = bracketed ?? bare;
  if (bracketed !== undefined && !isIPv6(host)) throw refuse("has no IPv6 address in its brackets");
  if (isIP(host) === 0 && (!NAME.test(host) || /(^|\.)[0-9]+$/.test(host))) {
    throw refuse("is neither an address nor a host name");
  }
  if (portText === undefined) return { host, port: defaultPort };
  const port = parsePort(portText);
  if (port === undefined) throw refuse(`has no valid port after the colon`, "a port is 1 to 65535");
  return { host, port };
}

/** 1 to 65535 in plain decimal, else undefined. */
export function parsePort(text: string): number | undefined {
  const port = /^[1-9][0-9]{0,4}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}
