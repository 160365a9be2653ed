/** What the platform's own programs do around an author's module, and authors never call. */

import * as sdk from "./index.ts";

/** Environment variable that names the Unix socket an agent's process connects to. */
export const SOCKET_VARIABLE = "PODIUM_SOCKET";

/** Environment variable that names the directory an agent works in. */
export const WORKSPACE_VARIABLE = "AGENT_WORKSPACE";

/**
 * `import … from "@podium/ts"` gives this very SDK from here on, wherever it stands: a bundle need not install it, and
 * one that has its own copy for its editor still shares the classes of the one that serves it.
 */
export function provideSdk(): void {
  Bun.plugin({
    name: "podium",
    setup(build) {
      build.module("@podium/ts", () => ({ exports: { ...sdk }, loader: "object" }));
    },
  });
}
