/**
 * The one image of a lab: busybox, made from the machine's own static busybox, because no
 * registry is needed or asked.
 */
import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./exec.ts";

export const IMAGE = "busybox:latest";

/** Changes that `docker import` applies: without PATH nothing in the image would be found. */
export const IMAGE_CHANGES = ["ENV PATH=/bin", 'CMD ["sh"]'];

const DIRECTORIES = ["bin", "dev", "etc", "proc", "root", "sys", "tmp", "var/www"];

/** Writes the root file system as a tar to `tar`. Throws if busybox is missing or not static. */
export async function buildImage(tar: string): Promise<void> {
  const root = `${tar}.root`;
  const busybox = (await run(["sh", "-c", "command -v busybox"])).stdout.trim();
  requireStatic(busybox);
  for (const dir of DIRECTORIES) mkdirSync(join(root, dir), { recursive: true });
  copyFileSync(busybox, join(root, "bin/busybox"));
  const applets = (await run([busybox, "--list"])).stdout.trim().split("\n");
  for (const applet of applets) {
    if (applet !== "busybox") symlinkSync("busybox", join(root, "bin", applet));
  }
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  writeFileSync(join(root, "etc/group"), "root:x:0:\n");
  await run(["tar", "-C", root, "-cf", tar, "."]);
  rmSync(root, { recursive: true });
}

/** A dynamic busybox names its loader in the ELF's interpreter, which the image would lack. */
function requireStatic(busybox: string): void {
  if (readFileSync(busybox).includes("/ld-linux")) {
    throw new Error(`${busybox} is not static; apt-get install busybox-static`);
  }
}
