/** The answer's page: one question at a time, whose answer a reload goes on with. */

import { connect, type Download, exponentialBackoff } from "../../../src/client/mod.ts";
import { showStanding } from "../../standing.ts";
import type { answers } from "../service.ts";

/** What is kept with the connection: what was asked, and all that is shown of the answer. */
interface Told {
  readonly question: string;
  readonly words: number;
  readonly text: string;
  readonly complete: boolean;
}

const at = <E extends HTMLElement>(id: string) => document.getElementById(id) as E;
const session = connect(location.origin, {
  storage: sessionStorage,
  storageKey: "answer.session",
  // Somebody watches: a server that was started again is found sooner than by default.
  reconnect: exponentialBackoff({ most: 4_000 }),
});
showStanding(session, () => at<HTMLButtonElement>("reload").textContent = "Start anew");
const connection = session.open<typeof answers>("answer");
let download: Download<string> | null = null;

/** Streams an answer, or the rest of one. */
async function answer(told: Told): Promise<void> {
  download?.cancel();
  // After a reload the same call gives back the one of before: the words that were not kept, and those to come.
  const mine = download = connection.download("ask", told.question);
  let now = told;
  // What is kept in the turn that takes a word never disagrees with what was taken.
  const keep = (changed: Partial<Told>) => {
    now = { ...now, ...changed };
    connection.keep({ ...now });
    show(now);
  };
  keep({});
  try {
    for await (const word of mine) keep({ words: now.words + 1, text: now.text + word });
    keep({ complete: true });
  } catch (error) {
    if (download === mine) {
      at("progress").textContent = error instanceof Error ? error.message : String(error);
    }
  }
}

function show({ words, text, complete }: Told): void {
  const shown = at("answer");
  shown.ariaBusy = String(!complete);
  if (!text.startsWith(shown.textContent)) shown.textContent = "";
  // Added to, so that what somebody has selected stays so.
  shown.append(text.slice(shown.textContent.length));
  at("progress").textContent = complete ? `${words} words, complete` : `${words} words`;
}

at<HTMLFormElement>("ask").onsubmit = (event) => {
  event.preventDefault();
  const question = at<HTMLInputElement>("question").value.trim();
  if (question !== "") void answer({ question, words: 0, text: "", complete: false });
};
at("reload").onclick = () => {
  if (session.phase === "ended") sessionStorage.removeItem("answer.session");
  location.reload();
};
at("cut").onclick = () => session.breakConduit();

const told = connection.kept as Told | undefined;
if (told === undefined) at("question").focus();
else {
  at<HTMLInputElement>("question").value = told.question;
  show(told);
  if (!told.complete) void answer(told);
}
