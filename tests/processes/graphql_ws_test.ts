/** GraphQL subscriptions of unchanged libraries, through a real server: the client and its server notice no cut. */

import assert from "node:assert/strict";
import { createClient } from "graphql-ws";
import { HoldfastSocket } from "../../src/client/holdfast_socket.ts";
import { CutSession } from "../support/cut_session.ts";
import { graphqlServer } from "../support/graphql_server.ts";
import { ServerProcess } from "../support/server_process.ts";

const EVENTS = 10_000;
const CUTS = 50;

Deno.test("a GraphQL subscription of 10,000 events goes through 50 cuts: none is lost, and no library notices", async () => {
  await using graphql = await graphqlServer();
  const server = await ServerProcess.start({ HOLDFAST_UPSTREAMS: `graphql=${graphql.url}` });
  try {
    await using line = await CutSession.with(server);
    const noticed: string[] = [];
    const client = createClient({
      url: "ws://any.example/graphql",
      webSocketImpl: HoldfastSocket.over(line.session, "upstream:graphql"),
      retryAttempts: 0,
      on: {
        connected: () => void noticed.push("connected"),
        closed: (event) => void noticed.push(`closed ${(event as CloseEvent).code}`),
        error: () => void noticed.push("error"),
      },
    });
    const query = `subscription { number(upTo: ${EVENTS}) }`;
    const closed = new Promise<void>((resolve) => void client.on("closed", () => resolve()));
    let events = 0;
    let cuts: Promise<void> = Promise.resolve();
    for await (const { data, errors } of client.iterate<{ readonly number: number }>({ query })) {
      assert.equal(errors, undefined);
      assert.equal(data?.number, ++events);
      if (events % (EVENTS / CUTS) !== 0) continue;
      // The next one comes when this one is over; the events go on meanwhile.
      await cuts;
      cuts = line.cut();
    }
    await cuts;
    assert.equal(events, EVENTS);
    // The library closes when nobody is subscribed any more.
    await closed;
    assert.deepEqual(noticed, ["connected", "closed 1000"]);
    assert.equal(graphql.connections, 1);
    assert.ok(line.resumed >= CUTS, `only ${line.resumed} resumes`);
    await client.dispose();
  } finally {
    await server.dispose();
  }
});
