import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const AGENT = join(import.meta.dir, "..");
const PAGE = join(AGENT, "..", "..", "docs", "reference", "typescript-sdk.md");

test("the examples of the reference work as they stand", () => {
  const blocks = [...readFileSync(PAGE, "utf8").matchAll(/^```ts\n([^]*?)^```$/gm)].map((match) => match[1] ?? "");
  expect(blocks.length).toBe(3);
  const [agent = "", migrated = "", tried = ""] = blocks;
  const folder = mkdtempSync(join(tmpdir(), "podium-docs-"));
  try {
    mkdirSync(join(folder, "node_modules", "@podium"), { recursive: true });
    symlinkSync(AGENT, join(folder, "node_modules", "@podium", "ts"));
    writeFileSync(join(folder, "agent.test.ts"), `${agent.replace(/^export default .*$/m, "")}\n${tried}`);
    const migrating = `import { DeltaState, type Json } from "@podium/ts";\n${migrated}`;
    const use = 'import { expect, test } from "bun:test";\ntest("it migrates", () => {\n';
    const check = "  expect(CounterState.migrate({ count: 4 }, 1)).toEqual({ total: 4 });\n});\n";
    writeFileSync(join(folder, "migrated.test.ts"), migrating + use + check);
    const done = Bun.spawnSync([process.execPath, "test"], { cwd: folder });
    expect(done.stderr.toString()).toContain(" 2 pass");
    expect(done.exitCode).toBe(0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 30_000);
