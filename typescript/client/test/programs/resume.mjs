// Reads one stream while everything behind it is killed. Prints each event as a line of JSON, then what it knows at the
// end. Arguments: the number to count to. Needs PODIUM_URL and PODIUM_API_KEY, and a deployed `counter`.
import { isKind, PodiumClient, textOf } from "@podium/client";

const last = Number(process.argv[2]);
const podium = new PodiumClient();
const { instanceId } = await podium.createInstance("counter", { config: { pause_ms: 40 } });
const stream = await podium.connect(instanceId, { after: 0 });
await stream.sendMessage(`count to ${last}`);
let second;
let end;
let workspace;
for await (const event of stream.events) {
  if (isKind(event, "sandbox.init")) workspace = event.content.workspace;
  console.log(JSON.stringify({ workspace, seq: event.seq, kind: event.messageType, text: textOf(event), local: event.seq === 0 ? event.content : undefined }));
  // Said in the middle of the trouble: it is acknowledged once things are back, and done once.
  if (second === undefined && textOf(event).trim() === "11") {
    second = stream.sendMessage("and then?");
    second.then((ack) => (end = ack.turn_id));
  }
  if (isKind(event, "checkpoint") && event.turnId === end) break;
}
console.log(JSON.stringify({ reconnects: stream.reconnects, lastSeq: stream.lastSeq }));
await podium.stopInstance(instanceId);
await podium.close();
