// What an author writes against the published package; checked by tsc and run by Bun in a folder of its own.
import { BaseAgent, DeltaState, type AgentConfig, type AgentContext, type AgentInput } from "@podium/ts";
import { AgentHarness } from "@podium/ts/testing";

class MyState extends DeltaState {
  static version = 1;
  static entityType = "my";
  count = 0;
  items: string[] = [];
}

class MyAgent extends BaseAgent<MyState> {
  static State = MyState;

  async onMessage(ctx: AgentContext<MyState>, input: AgentInput) {
    ctx.state.count += 1;
    ctx.state.items.push(input.text);
    const found = await ctx.toolCall("search", { q: input.text }, { kind: "read" }, async () => ["found"]);
    const limit: number = ctx.getConfig("limit", 3);
    const response: string[] = found;
    {
      await using thoughts = ctx.thinking();
      await thoughts.write(`${limit} ${ctx.signal.aborted}`);
    }
    const msg = await ctx.sendMessage("", "agent");
    await msg.streamToken(`done ${response.join()} ${ctx.deltaState.count}`, { final: true });
    await ctx.emit("usage.context", { total_tokens: 1, max_tokens: 2, percent_used: 50 });
  }

  wrong(ctx: AgentContext<MyState>): void {
    // @ts-expect-error: there is no such member
    ctx.emit("usage.context", { tokens: 1 });
    // @ts-expect-error: a count is a number
    ctx.state.count = "1";
  }
}

const make = (config: AgentConfig) => new MyAgent(config);
export default make;

const agent = await AgentHarness.start(make);
const turn = await agent.send("x");
console.log(turn.error, JSON.stringify(agent.state));
await agent[Symbol.asyncDispose]();
