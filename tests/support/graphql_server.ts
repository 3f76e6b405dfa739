/** An ordinary GraphQL server with subscriptions: `graphql-ws` on `ws`, without anything of this project. */

import type { Buffer } from "node:buffer";
import { GraphQLInt, GraphQLNonNull, GraphQLObjectType, GraphQLSchema } from "graphql";
import { useServer } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";

/** A server that listens. */
export interface GraphqlServer extends AsyncDisposable {
  readonly url: string;
  /** How many WebSockets ever came. */
  readonly connections: number;
  /** The codes with which they were closed. */
  readonly closeCodes: readonly number[];
}

/** Its subscription `number(upTo: N)` counts from 1 to N, as fast as it is asked. */
const SCHEMA = new GraphQLSchema({
  query: new GraphQLObjectType({ name: "Query", fields: { one: { type: GraphQLInt, resolve: () => 1 } } }),
  subscription: new GraphQLObjectType({
    name: "Subscription",
    fields: {
      number: {
        type: new GraphQLNonNull(GraphQLInt),
        args: { upTo: { type: new GraphQLNonNull(GraphQLInt) } },
        subscribe: (_root, { upTo }: { readonly upTo: number }) => counted(upTo),
      },
    },
  }),
});

async function* counted(upTo: number): AsyncGenerator<{ readonly number: number }> {
  for (let number = 1; number <= upTo; number++) yield await Promise.resolve({ number });
}

/** Listens on a free port of 127.0.0.1. */
export async function graphqlServer(): Promise<GraphqlServer> {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await new Promise<void>((resolve) => void server.on("listening", resolve));
  const graphql = useServer({ schema: SCHEMA }, server);
  const closeCodes: number[] = [];
  let connections = 0;
  server.on(
    "connection",
    (socket: { on(event: "close", listener: (code: number, reason: Buffer) => void): void }) => {
      connections++;
      socket.on("close", (code) => void closeCodes.push(code));
    },
  );
  return {
    url: `ws://127.0.0.1:${server.address().port}/graphql`,
    get connections() {
      return connections;
    },
    closeCodes,
    [Symbol.asyncDispose]: async () => void await graphql.dispose(),
  };
}
