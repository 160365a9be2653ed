import type { ConfigView, Model, SecretNames } from "../wire/rest.ts";
import { apiPath, type CallOptions } from "./call.ts";
import type { Transport } from "./transport.ts";

/** `/api/v1/secrets`: values go in and never come out. */
export class Secrets {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Adds or replaces the named secrets of an agent type; others stay. */
  async put(agentType: string, values: Readonly<Record<string, string>>, options: CallOptions = {}): Promise<void> {
    const path = apiPath(["secrets", agentType]);
    await this.#transport.text({ ...options, operation: "putSecrets", method: "PUT", path, json: values });
  }

  /** Names of the secrets of an agent type; needs an admin key. */
  names(agentType: string, options: CallOptions = {}): Promise<SecretNames> {
    const path = apiPath(["secrets", agentType]);
    return this.#transport.json({ ...options, operation: "listSecrets", method: "GET", path });
  }

  /** Removes one secret. */
  async remove(agentType: string, name: string, options: CallOptions = {}): Promise<void> {
    const path = apiPath(["secrets", agentType, name]);
    await this.#transport.text({ ...options, operation: "removeSecret", method: "DELETE", path });
  }
}

/** `/api/v1/config`: the runtime layer every agent reads. */
export class Config {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The layer and its version. */
  get(options: CallOptions = {}): Promise<ConfigView> {
    return this.#transport.json({ ...options, operation: "getConfig", method: "GET", path: apiPath(["config"]) });
  }

  /** Replaces the layer; every agent hears what changed. */
  put(config: Readonly<Record<string, unknown>>, options: CallOptions = {}): Promise<ConfigView> {
    return this.#transport.json({ ...options, operation: "putConfig", method: "PUT", path: apiPath(["config"]), json: { config } });
  }

  /** The models agents may use. */
  async models(options: CallOptions = {}): Promise<Model[]> {
    const path = apiPath(["config", "models"]);
    const page = await this.#transport.json<{ items: Model[] }>({ ...options, operation: "listModels", method: "GET", path });
    return page.items;
  }
}
