/** Why a socket could not be opened, in words that say what to do about it. */
import { messageOf, TsweaveError } from "../errors.ts";
import type { HostPort } from "../ports.ts";

/** PORT_IN_USE, CONFIG for an address that is not this host's, NOT_ROOT, else INTERNAL. */
export function bindError(error: unknown, protocol: "UDP" | "TCP", bind: HostPort): TsweaveError {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  const where = `${protocol} ${bind.host}:${bind.port}`;
  const cause = { cause: error };
  switch (code) {
    case "EADDRINUSE":
      return new TsweaveError("PORT_IN_USE", `${where} is in use`, {
        hint: "see tsweave status for another daemon, or choose another --port",
        ...cause,
      });
    case "EADDRNOTAVAIL":
    case "EINVAL":
    case "EAFNOSUPPORT":
    case "ENOTFOUND":
      return new TsweaveError("CONFIG", `${bind.host} is not an address of this host`, {
        hint: "see ip address for those it has, then use --bind",
        ...cause,
      });
    case "EACCES":
    case "EPERM":
      return new TsweaveError("NOT_ROOT", `not allowed to listen on ${where}`, {
        hint: "run as root, or choose a --port above 1023",
        ...cause,
      });
    default:
      return new TsweaveError("INTERNAL", `cannot listen on ${where}: ${messageOf(error)}`, cause);
  }
}
