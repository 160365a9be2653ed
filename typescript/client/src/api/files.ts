import { PAGE_MAX } from "../wire/limits.ts";
import { apiPath, filePath, FILES_MS, given, TRANSFER_MS, type Call, type CallOptions, type Query } from "./call.ts";
import type {
  FileContent,
  FileDifference,
  FileEntry,
  FileRemoved,
  FileWritten,
  IterationMeta,
  WorkspaceChanges,
  WorkspaceCheckpoint,
} from "./file_types.ts";
import { readEvents } from "./sse.ts";
import type { Transport } from "./transport.ts";

/** What a directory's listing shows. */
export interface FileListOptions extends CallOptions {
  /** The directory; the root of the workspace unless given. */
  readonly path?: string | undefined;
  /** How many levels deep, 1 to 16; 1 unless given. */
  readonly depth?: number | undefined;
  /** The iteration to look at; now unless given. */
  readonly at?: number | undefined;
}

/** On which condition a file is written or removed. */
export interface WriteOptions extends CallOptions {
  /** Only when this is the hash of what is there. */
  readonly ifHash?: string | undefined;
  /** Only when nothing is there. */
  readonly isNew?: boolean | undefined;
}

/** Which changes of a workspace are meant. */
export interface ChangeOptions extends CallOptions {
  /** Those behind this iteration; 0 unless given. */
  readonly after?: number | undefined;
  /** At or below this path. */
  readonly path?: string | undefined;
}

/** What bytes of a file are meant, or of a workspace. */
export interface ByteOptions extends CallOptions {
  /** As of this iteration; now unless given. */
  readonly at?: number | undefined;
}

/** Files of a workspace: listed, read now or as they were, written, compared, taken back. Bodies have the names of the wire. */
export class Files {
  readonly #transport: Transport;
  readonly #of: "instances" | "agents";

  /** @param of - whether names are those of instances, or of agents, which may have no instance */
  constructor(transport: Transport, of: "instances" | "agents" = "instances") {
    this.#transport = transport;
    this.#of = of;
  }

  // ── reading ────────────────────────────────────────────────────────────────────────────────────────────────

  /** The entries below a directory. */
  list(name: string, options: FileListOptions = {}): Promise<FileEntry[]> {
    const query = { path: options.path, depth: options.depth, at: options.at, limit: PAGE_MAX };
    return this.#all("listFiles", name, "files", "entries", query, options);
  }

  /** The newest version of a file, whole (up to 16 MiB). */
  read(name: string, path: string, options?: CallOptions): Promise<FileContent> {
    return this.#transport.json(this.#call("readFile", "GET", name, `files/${filePath(path)}`, options));
  }

  /** A file as it was at that iteration of the workspace, whole (up to 16 MiB). */
  at(name: string, path: string, iteration: number, options?: CallOptions): Promise<FileContent> {
    return this.#transport.json(this.#call("fileAtIteration", "GET", name, `files/${filePath(path)}/at/${iteration}`, options));
  }

  /** All recorded changes of a path, newest first. */
  history(name: string, path: string, options?: CallOptions): Promise<IterationMeta[]> {
    return this.#all("fileHistory", name, `files/${filePath(path)}/history`, "iterations", { limit: PAGE_MAX }, options);
  }

  /** The bytes of a file of any size, as they come. */
  stream(name: string, path: string, options: ByteOptions = {}): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    const version = options.at === undefined ? "" : `/at/${options.at}`;
    return this.#bytes("readFile", name, `files/${filePath(path)}${version}`, {}, options);
  }

  // ── writing ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Writes a file, whole. */
  write(name: string, path: string, content: string | Blob | Uint8Array<ArrayBuffer>, options: WriteOptions = {}): Promise<FileWritten> {
    const call = this.#call("writeFile", "PUT", name, `files/${filePath(path)}`, options);
    const body = typeof content === "string" ? new Uint8Array(new TextEncoder().encode(content)) : content;
    const headers = { "Content-Type": "application/octet-stream", ...conditions(options) };
    return this.#transport.json({ ...call, body, headers, limitMs: TRANSFER_MS, repeatable: false });
  }

  /** Removes a file, or a directory with all it holds. */
  remove(name: string, path: string, options: WriteOptions = {}): Promise<FileRemoved> {
    const call = this.#call("removeFile", "DELETE", name, `files/${filePath(path)}`, options);
    return this.#transport.json({ ...call, headers: conditions(options), repeatable: false });
  }

  /** Takes the workspace, or what is at `path`, back to an iteration. It is recorded, so it can be undone. */
  restore(name: string, iteration: number, path?: string, options?: CallOptions): Promise<{ iteration: number }> {
    const call = this.#call("restore", "POST", name, "workspace/restore", options);
    return this.#transport.json({ ...call, json: given({ iteration, path }), limitMs: TRANSFER_MS });
  }

  // ── the workspace as a whole ───────────────────────────────────────────────────────────────────────────────

  /** A page of changes, oldest first. */
  changes(name: string, options: ChangeOptions & { readonly limit?: number } = {}): Promise<WorkspaceChanges> {
    const query = { after: options.after, path: options.path, limit: options.limit ?? PAGE_MAX };
    return this.#transport.json(this.#call("listChanges", "GET", name, "workspace/changes", options, query));
  }

  /** Changes, then those that come, until the loop is left or the connection is lost. */
  async *follow(name: string, options: ChangeOptions = {}): AsyncGenerator<IterationMeta, void> {
    const query = { after: options.after ?? 0, path: options.path };
    const call = this.#call("followChanges", "GET", name, "workspace/changes", options, query);
    const body = await this.#transport.stream({ ...call, headers: { Accept: "text/event-stream" } });
    for await (const event of readEvents(body)) yield JSON.parse(event.data) as IterationMeta;
  }

  /** What differs between two iterations (`to` undefined: now). */
  compare(name: string, from: number, to?: number, options: CallOptions & { readonly path?: string } = {}): Promise<FileDifference[]> {
    const query = { from, to, path: options.path, limit: PAGE_MAX };
    return this.#all("compare", name, "workspace/diff", "differences", query, options);
  }

  /** The same as unified diff. */
  diff(name: string, from: number, to?: number, options: CallOptions & { readonly path?: string } = {}): Promise<string> {
    const call = this.#call("compare", "GET", name, "workspace/diff", options, { from, to, path: options.path });
    return this.#transport.text({ ...call, headers: { Accept: "text/x-diff" }, limitMs: TRANSFER_MS });
  }

  /** Named moments, newest first. */
  async checkpoints(name: string, options?: CallOptions): Promise<WorkspaceCheckpoint[]> {
    const call = this.#call("listCheckpoints", "GET", name, "workspace/checkpoints", options, { limit: PAGE_MAX });
    return (await this.#transport.json<{ checkpoints: WorkspaceCheckpoint[] }>(call)).checkpoints;
  }

  /** Names the moment that is now. */
  checkpoint(name: string, label: string, options?: CallOptions): Promise<WorkspaceCheckpoint> {
    const call = this.#call("makeCheckpoint", "POST", name, "workspace/checkpoints", options);
    return this.#transport.json({ ...call, json: { label }, repeatable: false });
  }

  /** The workspace as tar.gz, as it comes. */
  archive(name: string, options: ByteOptions & { readonly path?: string } = {}): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    return this.#bytes("archive", name, "workspace/archive", { at: options.at, path: options.path }, options);
  }

  #bytes(operation: string, name: string, route: string, query: Query, options: CallOptions): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    return this.#transport.stream({ ...this.#call(operation, "GET", name, route, options, query), headers: { Accept: "*/*" } });
  }

  /** The member `member` of all pages of a list. */
  async #all<T>(operation: string, name: string, route: string, member: string, query: Query, options?: CallOptions): Promise<T[]> {
    const found: T[] = [];
    let cursor: string | undefined;
    do {
      const call = this.#call(operation, "GET", name, route, options, { ...query, cursor });
      const page = await this.#transport.json<Record<string, unknown>>(call);
      found.push(...(page[member] as T[]));
      cursor = typeof page["next_cursor"] === "string" ? page["next_cursor"] : undefined;
    } while (cursor !== undefined);
    return found;
  }

  #call(operation: string, method: Call["method"], name: string, route: string, options: CallOptions = {}, query: Query = {}): Call {
    const [base, search] = apiPath([this.#of, name], query).split("?");
    const path = `${base}/${route}${search === undefined ? "" : `?${search}`}`;
    const instanceId = this.#of === "instances" ? name : undefined;
    return { operation, method, path, limitMs: FILES_MS, instanceId, signal: options.signal };
  }
}

function conditions(options: WriteOptions): Record<string, string> {
  return {
    ...(options.ifHash === undefined ? {} : { "If-Match": `"${options.ifHash}"` }),
    ...(options.isNew === true ? { "If-None-Match": "*" } : {}),
  };
}
