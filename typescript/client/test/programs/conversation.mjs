// One whole conversation with a real Podium, as a user's program has it. Prints one JSON object: what it saw.
// Needs PODIUM_URL and PODIUM_API_KEY, and a deployed `counter`.
import { bytesOf, isKind, PodiumClient, PodiumConnectionError } from "@podium/client";

const podium = new PodiumClient();
const seen = {};

async function codeOf(promise) {
  try {
    await promise;
    return "succeeded";
  } catch (error) {
    return error instanceof PodiumConnectionError ? error.code : String(error);
  }
}

async function all(list) {
  const items = [];
  for await (const item of list) items.push(item);
  return items;
}

// ── create, connect, send, stream ──────────────────────────────────────────────────────────────────────────────
const agentId = process.argv[2];
const { instanceId, deploymentId } = await podium.createInstance("counter", { agentId, environment: { A: "1" } });
const again = await podium.createInstance({ agentType: "counter", agentId });
seen.isSame = again.instanceId === instanceId;
seen.deploymentId = deploymentId;
const stream = await podium.connect(instanceId, { after: 0 });
const ack = await stream.sendMessage("hello", { tone: "kind" });
const events = [];
for await (const event of stream.events) {
  events.push(event);
  if (isKind(event, "message.user")) seen.metadata = event.content.tone;
  if (isKind(event, "stream_end")) seen.answer = event.content.text;
  if (isKind(event, "checkpoint") && event.turnId === ack.turn_id) break;
}
seen.seqs = events.map((event) => event.seq);
seen.lastSeq = stream.lastSeq;
seen.nack = await codeOf(stream.steer("nobody works"));
seen.pong = (await stream.send({ type: "ping", id: "p-1" })).id;

// ── the same message by the same id is done once, over any connection ──────────────────────────────────────────
const other = await podium.connect(instanceId);
const [one, two] = await Promise.all([
  stream.sendMessage("twice", {}, { id: "m-twice" }),
  other.sendMessage("twice", {}, { id: "m-twice" }),
]);
seen.isOneTurn = one.turn_id === two.turn_id;
for await (const event of other.events) if (isKind(event, "checkpoint") && event.turnId === one.turn_id) break;
await other.close();
seen.state = (await podium.instances.state(instanceId)).state.count;
seen.said = (await all(podium.instances.messages(instanceId))).map((message) => message.text);
seen.journal = (await all(podium.instances.events(instanceId))).map((event) => event.seq);

// ── files, and how they were ───────────────────────────────────────────────────────────────────────────────────
const path = "notes/äöü history.txt";
const first = await podium.files.write(instanceId, path, "one", { isNew: true });
const second = await podium.files.write(instanceId, path, new Uint8Array([0xff, 0xfe]), { ifHash: first.hash });
seen.changed = await codeOf(podium.files.write(instanceId, path, "three", { ifHash: first.hash }));
seen.files = (await podium.listFiles(instanceId, "", 2)).map((entry) => entry.path);
seen.file = [...bytesOf(await podium.readFile(instanceId, path))];
seen.before = bytesOf(await podium.fileAtIteration(instanceId, path, first.iteration)).length;
seen.history = (await podium.fileHistory(instanceId, path)).map((meta) => meta.iteration);
seen.isHistory = seen.history.join() === [second.iteration, first.iteration].join();
seen.missing = await codeOf(podium.readFile(instanceId, "nothing"));
seen.streamed = (await new Response(await podium.files.stream(instanceId, path)).arrayBuffer()).byteLength;
for await (const meta of podium.files.follow(instanceId, { after: second.iteration - 1 })) {
  seen.followed = meta.iteration === second.iteration;
  break;
}

// ── fork and rewind ────────────────────────────────────────────────────────────────────────────────────────────
const fork = await podium.agents.fork(agentId, { at: ack.turn_id });
seen.forkCount = (await podium.instances.state(fork.instance_id)).state.count;
seen.isMoment = (await podium.agents.moment(agentId, ack.turn_id)).seq === seen.lastSeq;
const rewound = await podium.agents.rewind(agentId, ack.turn_id);
seen.rewoundCount = (await podium.instances.state(instanceId)).state.count;
await podium.agents.rewind(agentId, rewound.undo);
seen.undoneCount = (await podium.instances.state(instanceId)).state.count;
seen.moments = (await all(podium.agents.moments(agentId, { limit: 2 }))).map((moment) => moment.kind);

// ── lists, and the end ─────────────────────────────────────────────────────────────────────────────────────────
seen.deployments = (await all(podium.deployments.list({ agentType: "counter" }))).map((each) => each.agent_type);
seen.agents = (await all(podium.agents.list())).map((each) => each.agent_id).filter((id) => id === agentId);
seen.wasAlive = await podium.isAlive(instanceId);
await podium.stopInstance(instanceId);
await podium.stopInstance(instanceId);
seen.isAlive = await podium.isAlive(instanceId);
try {
  for await (const event of stream.events) seen.last = event.messageType;
} catch (error) {
  seen.end = error.code;
}
seen.gone = await codeOf(podium.connect(instanceId));
seen.stranger = await codeOf(new PodiumClient({ apiKey: "pod_nobody" }).connect(instanceId));
await podium.close();
console.log(JSON.stringify(seen));
// Nothing keeps the process alive: no timer, no socket. It ends by itself, or the test's limit is exceeded.
