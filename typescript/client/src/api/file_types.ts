/** One entry of a directory. Sizes in bytes, `mtime` epoch milliseconds; `mode` has permission bits. */
export interface FileEntry {
  name: string;
  path: string;
  type: "file" | "directory" | "symlink" | "special";
  size: number;
  mode: number;
  mtime: number;
  /** The iteration that made this version of it. */
  iteration: number;
  /** Where a symbolic link leads. */
  target?: string;
  /** The path's bytes in base64, where they are no UTF-8. */
  raw?: string;
}

/** A file as it was when `iteration` made it. `content` is text, or base64 when `encoding` says so; see `bytesOf`. */
export interface FileContent {
  path: string;
  content: string;
  encoding: "utf-8" | "base64";
  size: number;
  /** BLAKE3 of the bytes, in hex. */
  hash: string;
  iteration: number;
}

/** One recorded change of a path. */
export interface IterationMeta {
  iteration: number;
  path: string;
  kind: "create" | "modify" | "delete" | "rename" | "exchange" | "chmod" | "mkdir" | "symlink" | "link" | "special" | "xattr";
  /** Epoch milliseconds. */
  timestamp: number;
  /** Absent where the path holds no content. */
  size?: number;
  hash?: string;
  mode?: number;
  /** For renames: the path before. */
  from?: string;
  /** Absent when it was nobody's turn. */
  turn_id?: string;
  raw?: string;
}

/** A file is written. Bytes equal to what was there make no new iteration: then it is the one that made them. */
export interface FileWritten {
  path: string;
  iteration: number;
  size: number;
  hash: string;
}

/** What was at `path` is gone since `iteration`. */
export interface FileRemoved {
  path: string;
  iteration: number;
}

/** A page of changes of a workspace, oldest first; `head` is the newest iteration there is. */
export interface WorkspaceChanges {
  iterations: IterationMeta[];
  head: number;
  next_cursor: string | null;
}

/** What was at a path at one of two moments. */
export interface FileVersion {
  type: FileEntry["type"];
  iteration: number;
  size: number;
  mode: number;
  hash?: string;
  target?: string;
}

/** One path that differs between two moments; `before` is null when it came into being, `after` when it is gone. */
export interface FileDifference {
  path: string;
  kind: "created" | "modified" | "deleted";
  before: FileVersion | null;
  after: FileVersion | null;
  raw?: string;
}

/** A named moment: by a person (`label`), or the end of a turn (`turn_id`). */
export interface WorkspaceCheckpoint {
  iteration: number;
  timestamp: number;
  label?: string;
  turn_id?: string;
}

/** The bytes of a file. */
export function bytesOf(file: FileContent): Uint8Array<ArrayBuffer> {
  if (file.encoding !== "base64") return new Uint8Array(new TextEncoder().encode(file.content));
  return Uint8Array.from(atob(file.content), (character) => character.charCodeAt(0));
}
