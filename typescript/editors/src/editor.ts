/** An editor made with the official library: shows what it is told, answers what it is asked. */

import * as acp from "@agentclientprotocol/sdk";
import { createWebSocketStream } from "@agentclientprotocol/sdk/experimental/ws-client";

/** How an editor reaches an agent: by starting a command, or at an address with a token. */
export type Way = { readonly command: readonly string[] } | { readonly url: string; readonly token: string };

/** A connection, and how it is ended. */
interface Opened {
  readonly stream: acp.Stream;
  readonly close: () => Promise<void>;
}

/** What the editor was told and asked. */
export class Shown {
  /** Updates, in order. */
  updates: acp.SessionUpdate[] = [];
  /** Titles of tool calls leave was asked for. */
  asked: string[] = [];
  /** Questions that came as forms. */
  forms: string[] = [];
  /** Which kind of option is taken when leave is asked for; none: the turn is cancelled instead. */
  take: acp.PermissionOptionKind | undefined = "allow_once";

  /** All text of a kind. */
  text(kind: "agent_message_chunk" | "agent_thought_chunk" | "user_message_chunk" = "agent_message_chunk"): string {
    return this.updates
      .map((update) => (update.sessionUpdate === kind && update.content.type === "text" ? update.content.text : ""))
      .join("");
  }

  /** A tool call as it is shown now: what was told of it, put together. */
  call(title: string): Record<string, unknown> {
    let found: Record<string, unknown> = {};
    for (const update of this.updates) {
      if (update.sessionUpdate === "tool_call" && update.title === title) found = { ...update };
      else if (update.sessionUpdate === "tool_call_update" && update.toolCallId === found["toolCallId"]) {
        found = { ...found, ...update };
      }
    }
    return found;
  }
}

function started(command: readonly string[]): Opened {
  const process = Bun.spawn([...command], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const output = new WritableStream<Uint8Array>({
    async write(bytes) {
      void process.stdin.write(bytes);
      await process.stdin.flush();
    },
  });
  const close = async (): Promise<void> => {
    await process.stdin.end();
    if ((await process.exited) !== 0) throw new Error(`the agent's program ended with ${process.exitCode}`);
  };
  return { stream: acp.ndJsonStream(output, process.stdout), close };
}

function dialled(url: string): Opened {
  return { stream: createWebSocketStream(url), close: async () => undefined };
}

/** Connects, initializes, and gives the connection to `work`. */
export async function connected<T>(
  way: Way,
  shown: Shown,
  work: (agent: acp.ClientContext, cancel: (sessionId: string) => Promise<void>) => Promise<T>,
): Promise<T> {
  const { stream, close } = "url" in way ? dialled(way.url) : started(way.command);
  let cancel = async (_sessionId: string): Promise<void> => undefined;
  const editor = acp
    .client({ name: "test editor" })
    .onNotification("session/update", ({ params }) => {
      shown.updates.push(params.update);
    })
    .onRequest("session/request_permission", async ({ params }) => {
      shown.asked.push(String(params.toolCall.title));
      const option = params.options.find(({ kind }) => kind === shown.take);
      if (option !== undefined) return { outcome: { outcome: "selected", optionId: option.optionId } };
      await cancel(params.sessionId);
      return { outcome: { outcome: "cancelled" } };
    })
    .onRequest("elicitation/create", ({ params }) => {
      shown.forms.push(params.message);
      return { action: "accept", content: { name: "Bob", why: "because" } };
    });
  const result = await editor.connectWith(stream, async (agent) => {
    cancel = (sessionId) => agent.notify("session/cancel", { sessionId });
    const about = await agent.request("initialize", {
      protocolVersion: acp.PROTOCOL_VERSION,
      clientCapabilities: { elicitation: { form: {} } },
    });
    if (about.protocolVersion !== 1) throw new Error(`the agent speaks version ${about.protocolVersion}`);
    if ("url" in way) {
      const methodId = about.authMethods?.[0]?.id ?? "";
      await agent.request("authenticate", { methodId, _meta: { token: way.token } });
    }
    return work(agent, cancel);
  });
  await close();
  return result;
}
