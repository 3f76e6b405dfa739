/** What stands in for a model: the same words for the same question. */

/** The answer's words, each with the blank before it. */
export function answerTo(question: string): string[] {
  return `You asked: “${question}” I am no model, but I stream like one: what you read arrives word by word, and each word is an item of a download.

The server numbers a word, commits it and only then sends it. This page takes it and, in the same turn, keeps what it shows together with how far it got. So it does not matter where the two are cut apart.

Reload the page: it has the text of before, asks the same question again, and is given the call that was under way, from the next word on. Cut the wire: the session goes on over another one, and what was under way is sent again. Kill the server with kill -9 and start it again: the call is still there, because it was committed when it was accepted. The service is run anew, is told how many words are out already, and goes on behind them.

No word is missing, and none is here twice. You can count them.`.split(/(?<=\S)(?=\s)/);
}
