/** A page that talks with an agent: connects, shows its sessions, streams one of them. The session's id is in the address. */

import { SessionClient, SessionError, type Session, type StatusChange } from "@podium/client/sessions";
import { Conversation } from "./conversation.ts";
import { byId, element } from "./element.ts";

/** What the person gave in the form. The key is kept for as long as the tab is open. */
interface Access {
  readonly url: string;
  readonly token: string;
  readonly agent: string;
}

const KEPT = "podium-chat";
const STATUS: Readonly<Record<StatusChange["status"], string>> = {
  connecting: "connecting …",
  online: "connected",
  offline: "connection lost; it comes back by itself",
  closed: "not connected",
};

const page = {
  connect: byId<HTMLFormElement>("connect"),
  problem: byId("problem"),
  status: byId("status"),
  leave: byId<HTMLButtonElement>("leave"),
  desk: byId("desk"),
  sessions: byId("sessions"),
  log: byId("log"),
  composer: byId<HTMLFormElement>("composer"),
  text: byId<HTMLTextAreaElement>("text"),
  stop: byId<HTMLButtonElement>("stop"),
};

class Chat {
  readonly #client: SessionClient;
  readonly #agent: string;
  #session: Session | undefined;
  #conversation = new Conversation(page.log, () => undefined);
  #stopListening: () => void = () => undefined;

  constructor({ url, token, agent }: Access) {
    this.#client = new SessionClient({ url, ...(token === "" ? {} : { token }) });
    this.#agent = agent;
    this.#client.onStatus((change) => showStatus(change));
  }

  async begin(): Promise<void> {
    await this.#client.connect();
    const wanted = location.hash.slice(1);
    await (wanted === "" ? this.create() : this.open(wanted));
  }

  async create(): Promise<void> {
    const name = new Date().toLocaleString();
    await this.open((await this.#client.createSession(this.#agent, { name })).id);
  }

  async open(sessionId: string): Promise<void> {
    if (this.#session?.id === sessionId) return;
    this.#stopListening();
    const before = this.#session;
    if (before?.isJoined) await before.leave();
    const session = (this.#session = this.#client.session(sessionId));
    const conversation = new Conversation(page.log, (requestId, answer) => void attempt(session.answer(requestId, answer)));
    this.#conversation = conversation;
    const stopEvents = session.on((event) => {
      if (conversation.show(event)) void attempt(this.#fetchSaid(session, conversation));
      page.stop.hidden = !isBusy(session);
    });
    const stopRewinds = session.onRewound(({ recentHistory }) => conversation.restart(recentHistory));
    this.#stopListening = () => (stopEvents(), stopRewinds());
    // A session that can be joined is one to come back to: reloading the page resumes it.
    const { recentHistory } = await session.join({ afterSeq: 0 });
    conversation.addHistory(recentHistory);
    history.replaceState(null, "", `#${sessionId}`);
    page.stop.hidden = !isBusy(session);
    await this.#list();
  }

  async send(text: string): Promise<void> {
    const sending = this.#conversation.sending(text);
    try {
      const { turnId } = await this.#session!.send(text);
      sending.accepted(turnId);
    } catch (error) {
      sending.failed(reason(error));
    }
  }

  async stop(): Promise<void> {
    await this.#session?.stop();
  }

  async close(): Promise<void> {
    this.#stopListening();
    await this.#client.close();
  }

  /** What was said in a turn that was begun elsewhere. */
  async #fetchSaid(session: Session, conversation: Conversation): Promise<void> {
    conversation.addHistory((await session.history({ limit: 20 })).messages);
  }

  async #list(): Promise<void> {
    const sessions = await this.#client.listSessions();
    page.sessions.replaceChildren(
      ...sessions.map(({ id, info }) => {
        const label = info?.name || `${info?.agentType} ${id.slice(-4)}`;
        const button = element("button", { type: "button", textContent: label, onclick: () => void attempt(this.open(id)) });
        button.ariaCurrent = String(id === this.#session?.id);
        return element("li", {}, button);
      }),
    );
  }
}

let chat: Chat | undefined;

function isBusy(session: Session): boolean {
  return session.state === "running" || session.state === "waiting";
}

function showStatus({ status, error }: StatusChange): void {
  page.status.textContent = STATUS[status];
  page.status.dataset["status"] = status;
  page.status.title = error?.detail ?? "";
  if (status === "closed" && error?.code !== "CLOSED") void disconnect(error?.detail ?? "");
}

function reason(error: unknown): string {
  return error instanceof SessionError ? error.detail : String(error);
}

/** Waits for something the person began; when it fails, the reason is shown beside the status. */
async function attempt(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    page.status.textContent = reason(error);
  }
}

async function connect(access: Access): Promise<void> {
  page.problem.textContent = "";
  try {
    chat = new Chat(access);
    page.connect.hidden = true;
    page.desk.hidden = page.leave.hidden = false;
    showStatus({ status: "connecting", error: undefined });
    await chat.begin();
    sessionStorage.setItem(KEPT, JSON.stringify(access));
    page.text.focus();
  } catch (error) {
    if (error instanceof SessionError && error.code === "SESSION_NOT_FOUND") history.replaceState(null, "", "#");
    await disconnect(reason(error));
  }
}

async function disconnect(why = ""): Promise<void> {
  sessionStorage.removeItem(KEPT);
  await chat?.close();
  chat = undefined;
  page.desk.hidden = page.leave.hidden = true;
  page.connect.hidden = false;
  page.problem.textContent = why;
}

page.connect.onsubmit = (event) => {
  event.preventDefault();
  void connect(Object.fromEntries(new FormData(page.connect)) as unknown as Access);
};
page.leave.onclick = () => void disconnect();
byId("new").onclick = () => void (chat && attempt(chat.create()));
page.stop.onclick = () => void (chat && attempt(chat.stop()));
page.composer.onsubmit = (event) => {
  event.preventDefault();
  const text = page.text.value.trim();
  if (text === "" || chat === undefined) return;
  page.text.value = "";
  void attempt(chat.send(text));
};
page.text.onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  page.composer.requestSubmit();
};

const kept = sessionStorage.getItem(KEPT);
if (kept !== null) void connect(JSON.parse(kept) as Access);
