/** How a session stands, as the pages of the examples show it. */

import type { Session } from "../src/client/mod.ts";

/** Shows it in an element `#standing`, with a word in its `#badge` and a sentence in its `#explanation`. */
export function showStanding(session: Session, over: () => void): void {
  const at = (id: string) => document.getElementById(id)!;
  let resumes = 0;
  const say = (standing: "good" | "waiting" | "over", word: string, sentence: string) => {
    at("standing").dataset["standing"] = standing;
    at("badge").textContent = word;
    at("explanation").textContent = sentence;
  };
  say("waiting", "Connecting", "");
  session.on("connected", () => say("good", "Connected", ""));
  session.on("resumed", () => {
    resumes++;
    say("good", "Resumed", resumes === 1 ? "1 break survived" : `${resumes} breaks survived`);
  });
  session.on("detached", () => say("waiting", "Detached", "trying again"));
  const ended = (word: string, sentence: string) => {
    say("over", word, sentence);
    over();
  };
  session.on("lost", ({ reason }) => ended("Session lost", `the server no longer has it (${reason})`));
  session.on("taken-over", () => ended("Taken over", "another window goes on with this session"));
  session.on("ended", ({ reason }) => ended("Ended", reason));
}
