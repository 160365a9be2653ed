/** Looks at whatever it is pointed at, and reports what it could read, write, signal and connect to. */

import { accessSync, closeSync, constants, openSync, readdirSync, readSync, statSync } from "node:fs";
import { join } from "node:path";

import { type AgentContext, type AgentInput, BaseAgent } from "@podium/ts";

interface Order {
  roots: string[];
  paths: string[];
  sockets: string[];
}

/** Whether `act` is allowed. */
function may(act: () => void): boolean {
  try {
    act();
  } catch {
    return false;
  }
  return true;
}

function canRead(path: string): boolean {
  return may(() => {
    const file = openSync(path, "r");
    try {
      readSync(file, Buffer.alloc(1));
    } finally {
      closeSync(file);
    }
  });
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** All files and folders below `folder`, and itself, as far as they can be listed; links to folders are not followed. */
function walk(folder: string, files: string[], folders: string[]): void {
  may(() => {
    const entries = readdirSync(folder, { withFileTypes: true });
    folders.push(folder);
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) walk(path, files, folders);
      else if (!isDirectory(path)) files.push(path);
    }
  });
}

async function canConnect(path: string): Promise<boolean> {
  try {
    const socket = await Bun.connect({ unix: path, socket: { data() {} } });
    socket.end();
  } catch {
    return false;
  }
  return true;
}

async function look(order: Order): Promise<unknown> {
  const files = [...order.paths];
  const folders: string[] = [];
  for (const root of order.roots) walk(root, files, folders);
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
  const others = pids.filter((pid) => pid !== process.pid);
  const connected: string[] = [];
  for (const path of order.sockets) if (await canConnect(path)) connected.push(path);
  return {
    uid: process.getuid?.(),
    pids,
    read: files.filter(canRead),
    written: folders.filter((folder) => may(() => accessSync(folder, constants.W_OK))),
    environ: others.filter((pid) => canRead(`/proc/${pid}/environ`)),
    signalled: others.filter((pid) => may(() => process.kill(pid, 0))),
    connected,
    secret: process.env["TOKEN"] ?? "",
  };
}

export default class Agent extends BaseAgent {
  override async onMessage(ctx: AgentContext, input: AgentInput): Promise<void> {
    const reply = await ctx.sendMessage();
    await reply.streamToken(JSON.stringify(await look(JSON.parse(input.text) as Order)), { final: true });
  }
}
