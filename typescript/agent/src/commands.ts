/** Commands the agent runs: output streamed as it comes, bounded; nothing left running afterwards. */

import { newId } from "./ids.ts";
import type { Speaker } from "./speaker.ts";
import { settledWithin, unlessAborted } from "./waiting.ts";

/** How a command is run. */
export interface CommandOptions {
  /** Where, relative to the workspace; the workspace itself when absent. */
  readonly cwd?: string;
  /** Environment variables beside those of the agent. */
  readonly env?: Readonly<Record<string, string>>;
  /** After so many milliseconds it is ended. */
  readonly timeoutMs?: number;
  /** Bytes of output that are kept and streamed (1 MiB when absent); the rest is thrown away. */
  readonly outputLimit?: number;
}

/** How a command ended. */
export interface CommandResult {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  /** Stdout and stderr as they came. */
  readonly output: string;
  readonly stdout: string;
  readonly stderr: string;
  /** Name of the signal that ended it (`SIGKILL`); null when none did. */
  readonly signal: string | null;
  readonly timedOut: boolean;
  /** Whether output was thrown away. */
  readonly truncated: boolean;
  /** Whether it ended with exit code 0. */
  readonly ok: boolean;
}

/** Output beyond this is read and thrown away, unless `outputLimit` says otherwise; `truncated` tells. */
const OUTPUT_MAX_BYTES = 1024 * 1024;

/** The most one `terminal.stream` carries. */
const CHUNK_BYTES = 64 * 1024;

/** After its timeout a command gets SIGTERM, and SIGKILL this much later. */
const TERM_GRACE_MS = 2000;

/** How long output is awaited after the command ended, when something it started keeps the pipe open. */
const DRAIN_MS = 1000;

type StreamName = "stdout" | "stderr";

/** Process groups of the commands that run, to be killed when the agent ends. */
export class CommandGroups {
  readonly #groups = new Set<number>();

  /** Remembers a group. */
  add(group: number): void {
    this.#groups.add(group);
  }

  /** Kills a group and forgets it. */
  end(group: number): void {
    killGroup(group, "SIGKILL");
    this.#groups.delete(group);
  }

  /** Kills all of them. */
  killAll(): void {
    for (const group of this.#groups) killGroup(group, "SIGKILL");
  }
}

/** One command: `run` it once. */
export class RunningCommand {
  readonly #speaker: Speaker;
  readonly #command: string | readonly string[];
  readonly #options: CommandOptions;
  readonly #id = newId("term");
  readonly #parts: { readonly name: StreamName; readonly text: string }[] = [];
  #room: number;
  #truncated = false;

  constructor(speaker: Speaker, command: string | readonly string[], options: CommandOptions) {
    this.#speaker = speaker;
    this.#command = command;
    this.#options = options;
    this.#room = options.outputLimit ?? OUTPUT_MAX_BYTES;
  }

  /**
   * Runs it in `cwd` to its end. Cancellation kills it with everything in its process group.
   *
   * @throws Error it can't be started.
   * @throws TurnCancelled the turn is to end.
   */
  async run(cwd: string, groups: CommandGroups): Promise<CommandResult> {
    const argv = typeof this.#command === "string" ? ["/bin/sh", "-c", this.#command] : [...this.#command];
    const { env } = this.#options;
    const child = Bun.spawn(argv, {
      cwd,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      // Its own process group, so that killing the group ends it with its children.
      detached: true,
      env: { ...process.env, ...env }, // as it is now: by itself Bun gives what the process was started with
    });
    groups.add(child.pid);
    const stop = new AbortController();
    let timedOut = false;
    try {
      const title = typeof this.#command === "string" ? this.#command : argv.map(quoted).join(" ");
      this.#tell("stdout", "", title);
      const pumps = Promise.all([
        this.#pump(child.stdout, "stdout", stop.signal),
        this.#pump(child.stderr, "stderr", stop.signal),
      ]);
      pumps.catch(() => undefined); // the turn is over and nobody hears it
      timedOut = await unlessAborted(this.#speaker.signal, this.#ended(child));
      await unlessAborted(this.#speaker.signal, settledWithin(DRAIN_MS, pumps));
    } finally {
      groups.end(child.pid);
      stop.abort();
      await child.exited;
    }
    const signal = child.signalCode === null ? null : String(child.signalCode);
    return this.#result(signal === null ? child.exitCode : null, signal, timedOut);
  }

  async #ended(child: Bun.Subprocess): Promise<boolean> {
    const { timeoutMs } = this.#options;
    if (timeoutMs === undefined) {
      await child.exited;
      return false;
    }
    if (await settledWithin(timeoutMs, child.exited)) return false;
    killGroup(child.pid, "SIGTERM");
    await settledWithin(TERM_GRACE_MS, child.exited);
    killGroup(child.pid, "SIGKILL");
    await child.exited;
    return true;
  }

  async #pump(pipe: ReadableStream<Uint8Array>, name: StreamName, stop: AbortSignal): Promise<void> {
    const decoder = new TextDecoder();
    const reader = pipe.getReader();
    const cancel = (): void => void reader.cancel().catch(() => undefined);
    stop.addEventListener("abort", cancel, { once: true });
    for (let data = await reader.read(); !data.done && !stop.aborted; data = await reader.read()) {
      for (let at = 0; at < data.value.length; at += CHUNK_BYTES) {
        await this.#say(name, decoder.decode(this.#kept(data.value.subarray(at, at + CHUNK_BYTES)), { stream: true }));
      }
    }
    if (!stop.aborted) await this.#say(name, decoder.decode());
  }

  #kept(data: Uint8Array): Uint8Array {
    const kept = data.subarray(0, this.#room);
    this.#room -= kept.length;
    this.#truncated ||= kept.length < data.length;
    return kept;
  }

  async #say(name: StreamName, text: string): Promise<void> {
    if (text === "" || this.#speaker.signal.aborted) return;
    this.#parts.push({ name, text });
    this.#tell(name, text);
    await this.#speaker.roomEvenCancelled();
  }

  #tell(stream: StreamName, data: string, command?: string): void {
    const content = { terminal_id: this.#id, stream, data };
    this.#speaker.tell("terminal.stream", command === undefined ? content : { ...content, command });
  }

  #result(exitCode: number | null, signal: string | null, timedOut: boolean): CommandResult {
    const content = { terminal_id: this.#id, exit_code: exitCode };
    this.#speaker.tell("terminal.complete", signal === null ? content : { ...content, signal });
    const joined = (...names: StreamName[]): string =>
      this.#parts.filter((part) => names.includes(part.name)).map((part) => part.text).join("");
    return {
      exitCode,
      output: joined("stdout", "stderr"),
      stdout: joined("stdout"),
      stderr: joined("stderr"),
      signal,
      timedOut,
      truncated: this.#truncated,
      ok: exitCode === 0,
    };
  }
}

function killGroup(group: number, signal: "SIGKILL" | "SIGTERM"): void {
  try {
    process.kill(-group, signal);
  } catch {
    // it is gone, and that is what was wanted
  }
}

function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\"'\"'")}'`;
}
