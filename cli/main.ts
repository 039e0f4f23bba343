/**
 * The executable's entry.
 *
 * Law: imports nothing at the top. The sandbox helper's start is part of every container's start,
 * and each command pays only for what it uses.
 */

async function main(argv: readonly string[]): Promise<void> {
  if (argv[0] === "__sandbox") {
    const { runSandboxHelper } = await import("../dns/io/sandbox-helper.ts");
    return await runSandboxHelper();
  }
  const { dispatch } = await import("./dispatch.ts");
  const { chooseStyle } = await import("./render/style.ts");
  const interactive = process.stdout.isTTY === true;
  // A reader that has seen enough (`| head`) is no failure.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? 0 : 1);
  });
  const code = await dispatch(argv, {
    env: process.env,
    style: chooseStyle(interactive, process.env),
    interactive,
    write: (text) => process.stdout.write(text),
    note: (text) => process.stderr.write(text),
  });
  // Pipes and files are written synchronously, so nothing is lost; a leaked handle cannot hang us.
  process.exit(code);
}

await main(process.argv.slice(2));
