/** An answer that is streamed word by word, as a model would give it. */

import { setTimeout as pause } from "node:timers/promises";
import * as z from "zod";
import { defineService, download } from "../../src/service/mod.ts";
import { answerTo } from "./answer_to.ts";

/** Between two words, milliseconds. */
const WORD_MS = 60;

export const answers = defineService({
  name: "answer",
  methods: {
    /**
     * Lost with its node, it runs again on the next one and goes on behind the words that are out already. That needs a source
     * which says the same twice; what a model says is kept as it comes, and read from there.
     */
    ask: download(
      { input: z.string().trim().min(1).max(200), item: z.string(), retry: "safe" },
      async function* (question, call) {
        for (const word of answerTo(question).slice(call.itemsSent)) {
          await pause(WORD_MS, undefined, { signal: call.signal });
          yield word;
        }
      },
    ),
  },
});
