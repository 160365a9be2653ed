import { expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";

const AGENT = join(import.meta.dir, "..");
const WORKSPACE = join(AGENT, "..");
const TSC = join(WORKSPACE, "node_modules", "typescript", "bin", "tsc");

function run(cwd: string, ...argv: string[]): string {
  const env = { ...process.env, PATH: [dirname(process.execPath), process.env["PATH"]].join(delimiter) };
  const done = Bun.spawnSync(argv, { cwd, env: { ...env, BUN_INSTALL_CACHE_DIR: join(cwd, ".cache") } });
  const said = done.stdout.toString() + done.stderr.toString();
  if (done.exitCode !== 0) throw new Error(`${argv.join(" ")}: exit code ${done.exitCode}\n${said}`);
  return said;
}

/** The package as it would be published, built from a copy: nothing is left in the checkout. */
function packedInto(folder: string): string {
  const copy = join(folder, "workspace", "agent");
  mkdirSync(copy, { recursive: true });
  for (const name of ["package.json", "tsconfig.build.json", "src"]) cpSync(join(AGENT, name), join(copy, name), { recursive: true });
  cpSync(join(WORKSPACE, "tsconfig.base.json"), join(copy, "..", "tsconfig.base.json"));
  symlinkSync(join(WORKSPACE, "node_modules"), join(copy, "..", "node_modules"));
  run(copy, process.execPath, "pm", "pack", "--destination", folder);
  const [name] = readdirSync(folder).filter((file) => file.endsWith(".tgz"));
  return join(folder, name ?? "nothing was packed");
}

const SETTINGS = {
  bundler: { module: "ESNext", moduleResolution: "bundler", lib: ["ES2022", "DOM"] },
  node: { module: "NodeNext", moduleResolution: "nodenext", lib: ["ES2024", "DOM"] },
};

test.skipIf(!existsSync(TSC))("the published package is typed for strict consumers, and runs", () => {
  const folder = mkdtempSync(join(tmpdir(), "podium-package-"));
  try {
    const packed = packedInto(folder);
    const consumer = join(folder, "consumer");
    mkdirSync(consumer);
    cpSync(join(import.meta.dir, "package", "consumer.ts"), join(consumer, "consumer.ts"));
    writeFileSync(join(consumer, "package.json"), JSON.stringify({ name: "consumer", type: "module", private: true }));
    run(consumer, process.execPath, "add", packed);
    for (const settings of Object.values(SETTINGS)) {
      const compilerOptions = { strict: true, skipLibCheck: false, noEmit: true, target: "ES2022", types: [], ...settings };
      writeFileSync(join(consumer, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["consumer.ts"] }));
      expect(run(consumer, process.execPath, TSC, "--noEmit", "-p", ".")).toBe("");
    }
    const expected = 'null {"count":1,"items":["x"]}\n';
    expect(run(consumer, process.execPath, "consumer.ts")).toBe(expected);
    run(consumer, process.execPath, "build", "consumer.ts", "--target=bun", "--outfile=bundled.js");
    expect(run(consumer, process.execPath, "bundled.js")).toBe(expected);
    const compiled = readFileSync(join(consumer, "consumer.ts"), "utf8")
      .replace('"@podium/ts"', '"./node_modules/@podium/ts/dist/index.js"')
      .replace('"@podium/ts/testing"', '"./node_modules/@podium/ts/dist/testing.js"');
    writeFileSync(join(consumer, "compiled.ts"), compiled);
    expect(run(consumer, process.execPath, "compiled.ts")).toBe(expected);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);
