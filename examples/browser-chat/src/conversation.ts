import type { Answer, HistoryMessage, SessionEvent } from "@podium/client/sessions";
import { asking } from "./asking.ts";
import { element, shown } from "./element.ts";

/** How near to its end, in pixels, the log is when it shall follow what comes. */
const NEAR = 80;

/** A conversation in the page: what people said comes from the history, what the agent does from events. */
export class Conversation {
  readonly #log: HTMLElement;
  readonly #answer: (requestId: string, answer: Answer) => void;
  readonly #turns = new Map<string, Turn>();

  /** @param answer - gives a person's answer to the agent */
  constructor(log: HTMLElement, answer: (requestId: string, answer: Answer) => void) {
    this.#log = log;
    this.#answer = answer;
    log.replaceChildren();
  }

  /** Messages of people, each at the beginning of its turn. */
  addHistory(messages: readonly HistoryMessage[]): void {
    for (const { role, text, turnId } of messages) if (role === "user" && turnId !== null) this.#turn(turnId).say(text);
  }

  /** Begins anew with what counts after the agent was taken back: the texts of both sides. */
  restart(messages: readonly HistoryMessage[]): void {
    this.#log.replaceChildren();
    this.#turns.clear();
    for (const { role, text, turnId } of messages) {
      if (turnId === null) continue;
      if (role === "user") this.#turn(turnId).say(text);
      else this.#turn(turnId).answer(text);
    }
  }

  /** A message that is on its way; what this returns takes its place in the turn it became, or says why it did not. */
  sending(text: string): { accepted(turnId: string): void; failed(why: string): void } {
    const waiting = new Turn();
    waiting.say(text);
    this.#follow(() => this.#log.append(waiting.element));
    return {
      accepted: (turnId) => {
        if (this.#turns.has(turnId)) waiting.element.remove();
        else this.#turns.set(turnId, waiting);
        this.#turn(turnId).say(text);
      },
      failed: (why) => this.#follow(() => waiting.note(why, "failed")),
    };
  }

  /** Shows an event. Returns whether what the person said in its turn is still to be had. */
  show(event: SessionEvent): boolean {
    const { turnId } = event;
    if (turnId === null || event.type === "session_state") return false;
    const turn = this.#turn(turnId);
    this.#follow(() => turn.show(event, this.#answer));
    return !turn.isSaid;
  }

  #turn(turnId: string): Turn {
    const known = this.#turns.get(turnId);
    if (known !== undefined) return known;
    const turn = new Turn();
    this.#turns.set(turnId, turn);
    this.#follow(() => this.#log.append(turn.element));
    return turn;
  }

  /** Keeps the end in sight while something is added, if it was. */
  #follow(add: () => void): void {
    const { scrollHeight, scrollTop, clientHeight } = this.#log;
    const wasNear = scrollHeight - scrollTop - clientHeight < NEAR;
    add();
    if (wasNear) this.#log.scrollTop = this.#log.scrollHeight;
  }
}

/** One turn: what was said, and what the agent did about it, in order. */
class Turn {
  readonly element = element("article", { className: "turn" });
  isSaid = false;
  /** Where text goes: the paragraph or thought it continues; null when something else came in between. */
  #open: HTMLElement | null = null;
  readonly #parts = new Map<string, HTMLElement>();

  say(text: string): void {
    if (this.isSaid) return;
    this.isSaid = true;
    this.element.prepend(element("p", { className: "said", textContent: text }));
  }

  answer(text: string): void {
    this.#write("answer", text);
    this.#open = null;
  }

  note(text: string, kind = ""): void {
    this.element.append(element("p", { className: `note ${kind}`, textContent: text }));
  }

  show(event: SessionEvent, answer: (requestId: string, answer: Answer) => void): void {
    switch (event.type) {
      case "text_delta":
        return this.#write("answer", event.text);
      case "thinking_progress":
        return this.#write("thought", event.text);
      case "tool_call_start":
        return this.#tool(event.toolCallId, event.toolName);
      case "tool_call":
        return this.#tool(event.toolCallId, event.toolName, shown(event.args));
      case "tool_result":
        return this.#outcome(event.toolCallId, "✓", shown(event.output));
      case "tool_error":
        return this.#outcome(event.toolCallId, "✗", event.message);
      case "terminal_stream":
        return this.#part(event.terminalId, () => element("pre", { className: "terminal" })).append(event.data);
      case "question_requested":
      case "permission_requested":
        this.#part(event.requestId, () => asking(event, (given) => answer(event.requestId, given)));
        return;
      case "approval_resolved":
        return this.#resolved(event.requestId, event.outcome);
      case "usage_update":
        return this.note(`${event.model}: ${event.inputTokens} tokens in, ${event.outputTokens} out`);
      case "turn_complete":
        return this.#end(event.stopReason === "end_turn" ? "" : event.stopReason);
      case "turn_error":
        return this.#end(event.message, "failed");
      default:
        return;
    }
  }

  #write(kind: "answer" | "thought", text: string): void {
    if (this.#open?.dataset["kind"] !== kind) {
      const text = element("p", { className: kind });
      text.dataset["kind"] = kind;
      const isThought = kind === "thought";
      this.element.append(isThought ? element("details", { open: true }, element("summary", { textContent: "Thinking" }), text) : text);
      this.#open = text;
    }
    this.#open?.append(text);
  }

  #tool(id: string, name: string, args = ""): void {
    const tool = this.#part(id, () =>
      element("details", { className: "tool" }, element("summary", { textContent: `… ${name}` }), element("pre"), element("pre")),
    );
    tool.children[1]!.textContent = args;
  }

  #outcome(id: string, mark: string, text: string): void {
    const tool = this.#parts.get(id);
    if (tool === undefined) return;
    tool.children[0]!.textContent = tool.children[0]!.textContent.replace("…", mark);
    tool.children[2]!.textContent = text;
  }

  #resolved(requestId: string, outcome: string): void {
    const form = this.#parts.get(requestId);
    form?.replaceWith(element("p", { className: "note", textContent: `${form.title} → ${outcome}` }));
  }

  #end(text: string, kind = ""): void {
    this.#open = null;
    for (const form of this.element.querySelectorAll("form")) form.remove(); // what a turn asked is over with it
    if (text !== "") this.note(text, kind);
  }

  #part(id: string, make: () => HTMLElement): HTMLElement {
    const known = this.#parts.get(id);
    if (known !== undefined) return known;
    const part = make();
    this.#parts.set(id, part);
    this.#open = null;
    this.element.append(part);
    return part;
  }
}
