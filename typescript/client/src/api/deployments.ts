import { CALLS, withRetry } from "../resilience/retry.ts";
import type { Deployment } from "../wire/rest.ts";
import { apiPath, TRANSFER_MS, type Call, type CallOptions } from "./call.ts";
import { readPages, type ListOptions } from "./pages.ts";
import type { Transport } from "./transport.ts";

/** `/api/v1/deployments`. Bodies have the names of the wire. */
export class Deployments {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Uploads a bundle (tar.gz). The same bytes again give the same deployment, so a lost upload is tried again. A `Blob`
   * that stands for a file (`Bun.file`, `fs.openAsBlob`, an `<input>`) is not read into memory.
   *
   * @throws PodiumConnectionError `invalid_bundle`, `deployment_exists`, `bundle_too_large`, …
   */
  upload(bundle: Blob, agentType: string, version: string, options: CallOptions = {}): Promise<Deployment> {
    const call: Call = { ...options, operation: "deploy", method: "POST", path: apiPath(["deployments"]), limitMs: TRANSFER_MS };
    const once = (): Promise<Deployment> => {
      const form = new FormData();
      form.set("agent_type", agentType);
      form.set("version", version);
      form.set("file", bundle, `${agentType}-${version}.tar.gz`);
      return this.#transport.json({ ...call, body: form, repeatable: false });
    };
    return withRetry(CALLS, this.#transport.timing, once, options.signal);
  }

  /** Deployments, of one type or of all. */
  list(options: ListOptions & { readonly agentType?: string } = {}): AsyncGenerator<Deployment, void> {
    const query = { agent_type: options.agentType };
    return readPages(this.#transport, { operation: "listDeployments", parts: ["deployments"], query }, options);
  }

  /** One deployment, by its id or any reference. */
  get(deploymentId: string, options: CallOptions = {}): Promise<Deployment> {
    const path = apiPath(["deployments", deploymentId]);
    return this.#transport.json({ ...options, operation: "getDeployment", method: "GET", path });
  }

  /** Removes a deployment that no instance uses. */
  async remove(deploymentId: string, options: CallOptions = {}): Promise<void> {
    const path = apiPath(["deployments", deploymentId]);
    await this.#transport.text({ ...options, operation: "removeDeployment", method: "DELETE", path });
  }
}
