/** The versions of the harness's workspace: the same answers as on a host, recorded when they are asked for. */

import { createHash } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { FileVersion } from "../records.ts";
import { AgentHarnessError } from "./errors.ts";

const LIMIT = 100;

/** What is at a path: the bytes of a file, where a link leads, nothing for a directory. */
interface Entry {
  readonly type: "file" | "link" | "directory";
  readonly mode: number;
  readonly content: Buffer;
}

/** A change, with what it led to. */
interface Change {
  readonly version: FileVersion;
  readonly entry: Entry | undefined;
}

interface Checkpoint {
  readonly iteration: number;
  readonly label: string;
  readonly turnId: string;
}

type Tree = Map<string, Entry>;
type Parameters = Readonly<Record<string, unknown>>;

/**
 * The history of a directory. What changed is recorded when a turn ends and when something is asked, not at every close of a
 * file: of a file that was written twice in between there is one version. Iterations name no turn here, a rename is a deletion
 * and a creation, and `hash` is SHA-256 where a host's is BLAKE3.
 */
export class HarnessVersions {
  readonly #directory: string;
  readonly #changes: Change[] = [];
  readonly #checkpoints: Checkpoint[] = [];
  #isAsked = false;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Records what changed until now; nothing as long as nobody asked for versions. */
  record(): void {
    if (!this.#isAsked) return;
    const before = this.#treeAt(this.#changes.length);
    const now = scanned(this.#directory);
    const gone = [...before.keys()].filter((path) => now.get(path)?.type !== before.get(path)?.type);
    for (const path of gone.toSorted().toReversed()) this.#add(path, "delete", undefined);
    for (const [path, entry] of now) {
      const known = gone.includes(path) ? undefined : before.get(path);
      const kind = kindOf(known, entry);
      if (kind !== undefined) this.#add(path, kind, entry);
    }
  }

  /**
   * The answer to `checkpoint`, `history` or `restore`, as a coordinator gives it.
   *
   * @throws AgentHarnessError there is no such method or moment.
   */
  answer(method: string, parameters: Parameters, turnId: string): unknown {
    this.#isAsked = true;
    this.record();
    const path = String(parameters["path"] ?? "");
    const label = String(parameters["label"] ?? "");
    switch (method) {
      case "checkpoint":
        this.#checkpoints.push({ iteration: this.#changes.length, label, turnId });
        return { iteration: this.#changes.length, label };
      case "history":
        return this.#history(path, Number(parameters["limit"] ?? LIMIT));
      case "restore":
        this.#restore(this.#moment(parameters["iteration"], label), path);
        return { iteration: this.#changes.length };
      default:
        throw new AgentHarnessError(`there is no method ${JSON.stringify(method)}`);
    }
  }

  #add(path: string, kind: string, entry: Entry | undefined): void {
    const content = entry?.type === "file" ? { size: entry.content.length, hash: createHash("sha256").update(entry.content).digest("hex") } : {};
    const mode = entry === undefined ? {} : { mode: entry.mode };
    const version = { iteration: this.#changes.length + 1, path, kind, timestamp: Date.now(), ...content, ...mode };
    this.#changes.push({ version, entry });
  }

  #history(path: string, limit: number): FileVersion[] {
    const all = this.#changes.map(({ version }) => version).toReversed();
    return all.filter((version) => path === "" || version.path === path).slice(0, limit);
  }

  /** The iteration that is meant by a number, or by the label of a checkpoint or the id of its turn. */
  #moment(iteration: unknown, label: string): number {
    const newest = this.#changes.length;
    if (typeof iteration === "number") {
      if (iteration >= 0 && iteration <= newest) return iteration;
      throw new AgentHarnessError(`iteration ${iteration} does not exist; the newest is ${newest}`);
    }
    const found = this.#checkpoints.findLast((checkpoint) => label !== "" && [checkpoint.label, checkpoint.turnId].includes(label));
    if (found === undefined) throw new AgentHarnessError(`there is no checkpoint ${JSON.stringify(label)}`);
    return found.iteration;
  }

  #treeAt(iteration: number): Tree {
    const tree: Tree = new Map();
    for (const { version, entry } of this.#changes.slice(0, iteration)) {
      if (entry === undefined) tree.delete(version.path);
      else tree.set(version.path, entry);
    }
    return tree;
  }

  #restore(iteration: number, path: string): void {
    const isMeant = (other: string): boolean => path === "" || other === path || other.startsWith(`${path}/`);
    const wanted = this.#treeAt(iteration);
    const now = this.#treeAt(this.#changes.length);
    for (const known of [...now.keys()].filter(isMeant).toSorted().toReversed()) {
      if (wanted.get(known)?.type !== now.get(known)?.type) rmSync(join(this.#directory, known), { recursive: true, force: true });
    }
    for (const known of [...wanted.keys()].filter(isMeant).toSorted()) write(join(this.#directory, known), wanted.get(known)!);
    this.record();
  }
}

/** What the change from `known` to `entry` is called; undefined: there is none. */
function kindOf(known: Entry | undefined, entry: Entry): string | undefined {
  if (known === undefined) return { file: "create", link: "symlink", directory: "mkdir" }[entry.type];
  if (!known.content.equals(entry.content)) return entry.type === "link" ? "symlink" : "modify";
  return known.mode === entry.mode ? undefined : "chmod";
}

/** Everything below a directory, what holds something before what it holds. */
function scanned(directory: string, below = "", tree: Tree = new Map()): Tree {
  for (const name of readdirSync(join(directory, below)).toSorted()) {
    const path = below === "" ? name : `${below}/${name}`;
    const full = join(directory, path);
    const found = lstatSync(full);
    if (found.isDirectory()) {
      tree.set(path, { type: "directory", mode: found.mode, content: Buffer.alloc(0) });
      scanned(directory, path, tree);
    } else if (found.isSymbolicLink()) {
      tree.set(path, { type: "link", mode: found.mode, content: Buffer.from(readlinkSync(full)) });
    } else if (found.isFile()) {
      tree.set(path, { type: "file", mode: found.mode, content: readFileSync(full) });
    }
  }
  return tree;
}

function write(path: string, { type, mode, content }: Entry): void {
  if (type === "link") {
    rmSync(path, { force: true });
    symlinkSync(content.toString(), path);
    return;
  }
  if (type === "directory") mkdirSync(path, { recursive: true });
  else writeFileSync(path, content);
  chmodSync(path, mode);
}
