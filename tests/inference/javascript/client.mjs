// OpenAI's own JavaScript client asks the server at BASE_URL, and prints as JSON what it got.
import OpenAI, { BadRequestError, NotFoundError } from "openai";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY, maxRetries: 0 });
const asked = { model: "tts-1", voice: "studio/alice", input: "One sentence. Another sentence." };

async function refusal(request) {
  try {
    await request;
    return null;
  } catch (error) {
    const kind = error instanceof NotFoundError ? "NotFoundError" : error instanceof BadRequestError ? "BadRequestError" : "other";
    return { kind, status: error.status, code: error.code, param: error.param };
  }
}

const models = [];
for await (const model of client.models.list()) models.push(model.id);

const files = {};
for (const response_format of ["mp3", "opus", "aac", "flac", "wav", "pcm"]) {
  const answer = await client.audio.speech.create({ ...asked, response_format });
  files[response_format] = { type: answer.headers.get("content-type"), bytes: (await answer.arrayBuffer()).byteLength };
}

let chunks = 0;
const streamed = await client.audio.speech.create({ ...asked, response_format: "pcm", speed: 1.5, instructions: "Whisper." });
for await (const chunk of streamed.body) chunks += chunk.byteLength > 0;

const events = await (await client.audio.speech.create({ ...asked, stream_format: "sse" })).text();
const object = await client.audio.speech.create({ ...asked, voice: { id: "studio/alice" } });

console.log(
  JSON.stringify({
    models,
    model: (await client.models.retrieve("tiny")).id,
    files,
    chunks,
    lastEvent: JSON.parse(events.trim().split("\n\n").at(-1).replace(/^data: /, "")).type,
    object: object.status,
    noVoice: await refusal(client.audio.speech.create({ ...asked, voice: "studio/bob" })),
    noFormat: await refusal(client.audio.speech.create({ ...asked, response_format: "mp4" })),
  }),
);
