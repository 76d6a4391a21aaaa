// Decodes with llama.cpp, a line at a time: `rewind` goes back to the end of the prompt, `decode` appends tokens greedily.
//
//   node decode.js MODEL.gguf THREADS PROMPT_TOKENS NEW_TOKENS
import { createInterface } from "node:readline";
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

const [file, threads, prompt, tokens] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.warn, maxThreads: threads });
const model = await llama.loadModel({ modelPath: file });
const context = await model.createContext({ contextSize: 1024, batchSize: 512, threads });
const sequence = context.getSequence();
const ids = Array.from({ length: prompt }, (_, i) => 259 + ((i * 7919) % 31000));
await sequence.evaluateWithoutGeneratingNewTokens(ids);

async function decode() {
  let n = 0;
  for await (const _ of sequence.evaluate([ids[0]], { temperature: 0, yieldEogToken: true })) if (++n >= tokens) break;
  return n;
}

console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "rewind") await sequence.eraseContextTokenRanges([{ start: prompt, end: sequence.nextTokenIndex }]);
  console.log(line === "decode" ? await decode() : "done");
}
process.exit(0);
