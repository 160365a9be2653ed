/** Finding the author's agent: the manifest's `entry` becomes something that makes an agent. */

import { existsSync } from "node:fs";
import { relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { type AgentConfig, BaseAgent } from "./agent.ts";
import { AgentEntryError, errorMessage, errorName } from "./errors.ts";

/** Makes the agent of one instance from its configuration. */
export type AgentFactory = (config: AgentConfig) => BaseAgent | Promise<BaseAgent>;

/** What a manifest's `entry` may name: a class derived from `BaseAgent`, or a function that returns an agent. */
export type AgentMaker =
  (new (config: AgentConfig) => BaseAgent<any>) | ((config: AgentConfig) => BaseAgent<any> | Promise<BaseAgent<any>>);

/**
 * Imports `entry` from `directory` and returns what makes agents. `entry` is a file, whose default export counts
 * (`src/agent.ts`), or a file and the name of an export (`src/agent.ts:Counter`).
 *
 * @throws AgentEntryError there is no such file or export, importing it failed, or it makes no agent.
 */
export async function load(directory: string, entry: string): Promise<AgentFactory> {
  const [, file = "", name = "default"] = /^(.+?)(?::([\p{ID_Start}$_][\p{ID_Continue}$]*))?$/u.exec(entry) ?? [];
  const path = resolve(directory, file);
  if (file === "" || relative(directory, path).startsWith("..")) {
    throw new AgentEntryError(`entry ${shown(entry)}: write a file of the bundle, such as "src/agent.ts"`);
  }
  if (!existsSync(path)) throw new AgentEntryError(`entry ${shown(entry)}: there is no file ${path}`);
  let module: Readonly<Record<string, unknown>>;
  try {
    module = (await import(pathToFileURL(path).href)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    const why = `${errorName(error)}: ${errorMessage(error)}`;
    throw new AgentEntryError(`entry ${shown(entry)}: importing ${file} failed: ${why}`, { cause: error });
  }
  if (!Object.hasOwn(module, name)) throw new AgentEntryError(`entry ${shown(entry)}: ${missing(file, name, module)}`);
  return factoryOf(module[name], entry);
}

/**
 * The factory behind a class or function, as `load` finds them.
 *
 * @throws AgentEntryError it is neither.
 */
export function factoryOf(maker: unknown, entry: string = nameOf(maker)): AgentFactory {
  if (typeof maker !== "function") {
    throw new AgentEntryError(`entry ${shown(entry)}: it is ${nameOf(maker)}, neither a class nor a function`);
  }
  if (isAgentClass(maker)) return (config) => new maker(config);
  if (/^class\b/.test(Function.prototype.toString.call(maker))) {
    throw new AgentEntryError(`entry ${shown(entry)}: ${maker.name || "the class"} is not derived from BaseAgent`);
  }
  return async (config) => {
    const made: unknown = await (maker as (config: AgentConfig) => unknown)(config);
    if (made instanceof BaseAgent) return made;
    throw new AgentEntryError(`entry ${shown(entry)}: it made ${nameOf(made)}, no agent derived from BaseAgent`);
  };
}

function isAgentClass(value: unknown): value is new (config: AgentConfig) => BaseAgent {
  return typeof value === "function" && (value === BaseAgent || value.prototype instanceof BaseAgent);
}

function missing(file: string, name: string, module: Readonly<Record<string, unknown>>): string {
  const agents = Object.keys(module).filter((other) => isAgentClass(module[other]));
  const hint = agents.length === 0 ? "" : `; of agents it exports ${agents.join(", ")}`;
  if (name !== "default") return `${file} exports no ${shown(name)}${hint}`;
  return `${file} has no default export: write \`export default (config) => new MyAgent(config)\`${hint}`;
}

function nameOf(value: unknown): string {
  if (typeof value === "function") return value.name || "a function";
  if (value === null || typeof value !== "object") return String(value);
  return `an object of ${value.constructor?.name ?? "no class"}`;
}

function shown(text: string): string {
  return JSON.stringify(text);
}
