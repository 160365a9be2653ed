// An agent without an SDK: plain Node, no packages. It counts the messages it gets and keeps the count as state.
// The protocol is described in docs/internals/agent-link.md.
"use strict";
const net = require("node:net");

const socket = net.connect(process.env.PODIUM_SOCKET);
let buffer = Buffer.alloc(0);
let state = null; // what the coordinator stores
let version = 0; // the number of that state; every change adds one
let running = null; // the turn that runs
const waiting = []; // messages that came while it ran

// A frame: 4 bytes of length, little-endian, then that many bytes of JSON.
function send(frame) {
  const body = Buffer.from(JSON.stringify(frame));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(body.length);
  socket.write(Buffer.concat([length, body]));
}

socket.on("data", (data) => {
  buffer = Buffer.concat([buffer, data]);
  while (buffer.length >= 4 && buffer.length >= 4 + buffer.readUInt32LE()) {
    const end = 4 + buffer.readUInt32LE();
    const frame = JSON.parse(buffer.subarray(4, end));
    buffer = buffer.subarray(end);
    (acts[frame.type] ?? (() => {}))(frame);
  }
});
socket.on("close", () => process.exit(4)); // the coordinator is gone

const emit = (messageId, type, content) =>
  send({ type: "stream_update", message_id: messageId, element: { type, content } });

// What the coordinator says. Whatever is not here needs no answer from this agent.
const acts = {
  init(frame) {
    version = frame.state_version;
    state = frame.state;
    if (state === null) {
      state = { count: 0, history: [] };
      version += 1;
      send({ type: "state_replaced", version, state_schema: 1, data: state });
    }
    send({ type: "ready", protocol: 1, state_schema: 1, entity_type: "counter" });
  },
  message(frame) {
    waiting.push(frame);
    next();
  },
  cancel(frame) {
    if (running?.turn_id === frame.turn_id) running.cancelled = true;
  },
  ping: (frame) => send({ type: "pong", nonce: frame.nonce }),
  idle_check: () => send({ type: "idle_reply", allow: running === null }),
  shutdown: () => socket.end(() => process.exit(0)),
};

async function next() {
  if (running !== null || waiting.length === 0) return;
  running = waiting.shift();
  const id = running.id;
  try {
    await turn(running);
    send({ type: "complete", message_id: id, stop_reason: running.cancelled ? "cancelled" : "end_turn" });
  } catch (error) {
    send({ type: "failed", message_id: id, error: { type: error.name, message: error.message } });
  }
  running = null;
  next();
}

async function turn(message) {
  state.count += 1;
  state.history.push(message.data.text);
  version += 1;
  const ops = [
    { op: "replace", path: "/count", value: state.count },
    { op: "add", path: "/history/-", value: message.data.text },
  ];
  send({ type: "state_delta", deltas: [{ version, ops }] });
  const text = `seen ${state.count}`;
  emit(message.id, "stream_start", { message_id: message.id, attempt: message.attempt });
  emit(message.id, "stream_update", { text });
  emit(message.id, "stream_end", { text, stop_reason: message.cancelled ? "cancelled" : "end_turn" });
}
