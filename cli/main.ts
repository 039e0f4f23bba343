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
    confirm: process.stdin.isTTY === true ? confirm : undefined,
  });
  // Pipes and files are written synchronously, so nothing is lost; a leaked handle cannot hang us.
  process.exit(code);
}

/** Only the whole word counts as consent. */
async function confirm(question: string): Promise<boolean> {
  const { createInterface } = await import("node:readline/promises");
  const asker = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await asker.question(`${question} Type yes to go on: `);
  asker.close();
  return answer.trim() === "yes";
}

void main(process.argv.slice(2));
