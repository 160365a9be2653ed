// A conversation over sessions, whose connection is cut in the middle: told on stdin, so that what is cut is known.
// Arguments: address. Environment: PODIUM_API_KEY.
import { SessionClient } from "@podium/client/sessions";

const client = new SessionClient({ url: process.argv[2], token: () => Promise.resolve(process.env.PODIUM_API_KEY) });
const statuses = [];
client.onStatus(({ status }) => statuses.push(status));
const identity = await client.connect();

const smith = await client.createSession("toolsmith", { name: "smith" });
const types = [];
smith.on((event) => types.push(event.type));
smith.on("question_requested", ({ requestId, questions }) => void smith.answer(requestId, { answers: { [questions[0].id]: "words" } }));
smith.on("permission_requested", ({ requestId, options }) => void smith.answer(requestId, { optionId: options[0].optionId }));
await smith.join({ afterSeq: 0 });
const end = await smith.run("make a tool");
const file = await smith.readFile("words.sh");
const versions = await smith.fileHistory("words.sh");
const said = (await smith.history()).messages.map(({ role }) => role);

const counter = await client.createSession("counter");
await counter.join({ afterSeq: 0 });
const counted = [];
const seqs = [];
const { turnId } = await counter.send("count to 40");
for await (const event of counter.events) {
  seqs.push(event.seq);
  if (event.type === "text_delta") counted.push(...event.text.split(/\D+/).filter(Boolean).map(Number));
  if (event.type === "text_delta" && event.text.trim() === "15") console.log("cut");
  if (event.type === "turn_complete" && event.turnId === turnId) break;
}
const refused = await client.session("sess-aaaaaaaaaaaaaaaa").join().catch((error) => error.code);
const isListed = (await client.listSessions()).includes(smith);
await smith.rename("renamed");
await counter.delete();
await client.close();
console.log(
  JSON.stringify({
    userId: identity.userId,
    kinds: [...new Set(types)].length,
    final: end.finalText.trim(),
    file: file.content.split("\n")[0],
    versions: versions.length,
    said,
    counted,
    seqs,
    refused,
    isListed,
    renamed: smith.info.name,
    statuses: [...new Set(statuses)],
  }),
);
