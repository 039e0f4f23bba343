/**
 * The daemon's process: log, readiness pipe and exit, around the composition root.
 *
 * Law: whoever started it learns of readiness or of the error, exactly once.
 */
import { EXIT } from "../mesh/index.ts";
import type { LaunchConfig } from "./config.ts";
import { errorToBody } from "./control/error-body.ts";
import { openLog } from "./launch-files.ts";
import type { LaunchEvent } from "./launch-report.ts";
import { forgetPassword } from "./password.ts";
import { takeReadyPipe } from "./ready-pipe.ts";
import { launchText } from "./render/launch-text.ts";
import { serviceNotify } from "./service-notify.ts";

/** Runs the daemon until it is stopped. Resolves with the exit code. */
export async function runForeground(
  config: LaunchConfig,
  note: (text: string) => void,
): Promise<number> {
  const pipe = takeReadyPipe(process.env);
  const service = serviceNotify(process.env);
  forgetPassword(process.env);
  // With a pipe, standard output already is the log.
  const isOwnLog = config.logFile !== undefined && pipe === undefined;
  const logFd = isOwnLog && config.logFile !== undefined ? openLog(config.logFile).fd : 1;
  // Hold no directory busy, and let nobody else read what the daemon writes.
  process.chdir("/");
  process.umask(0o077);
  const report = (event: LaunchEvent) => {
    pipe?.send(event);
    if (!("ready" in event)) return;
    service.ready(`serves as ${event.summary.peer.name} at ${event.summary.advertise}`);
    if (pipe === undefined) note(launchText(event.summary, { logFile: config.logFile }));
    pipe?.close();
  };
  try {
    const { runDaemon } = await import("./daemon.ts");
    // In the background someone waits for the network, so Docker must answer now.
    await runDaemon({ ...config, logFd, foreground: pipe === undefined }, report);
    return EXIT.ok;
  } catch (error) {
    pipe?.send({ error: errorToBody(error) });
    pipe?.close();
    throw error;
  } finally {
    service.stopping();
  }
}
