/** The client opens a connection: its service takes it or rejects it, at once or after a while. */

import type { Opening } from "../connection/mux_state.ts";
import type { Metadata } from "../protocol/messages.ts";
import { isRelaying, type RelayingService } from "../service/relay.ts";
import type { Acceptance, Rejection, Service } from "../service/service.ts";
import type { ConnectionLife, LifeHost } from "./connection_life.ts";
import { RunnerConnection } from "./runner_connection.ts";

/** What an offer needs of the session's services. */
export interface OfferHost extends LifeHost {
  lifeAt(id: number): ConnectionLife | undefined;
  begin(id: number, service: Service): ConnectionLife;
  forgetIdle(life: ConnectionLife): void;
  abandon(id: number): void;
  /** From now on everything that happens on the connection is passed on. */
  relay(id: number, service: RelayingService, metadata: Metadata): void;
  /** What {@link LifeHost.begun} told of is over, without a life. */
  decided(): void;
}

type Answer = Acceptance | Rejection | void;

/** Asks the service of a connection. Until it has answered nothing is said on the connection (`connection.open`). */
export function offer(host: OfferHost, id: number, name: string, metadata: Metadata): void {
  const service = host.node.services.get(name);
  if (service === undefined) {
    const detail = `no service ${JSON.stringify(name)} here`;
    return host.session.act({ do: "reject", connection: id, reason: "unknown-service", detail });
  }
  if (isRelaying(service)) return host.relay(id, service, metadata);
  const connection = new RunnerConnection(host, id);
  // What the service does before it has accepted follows the accept.
  connection.collect();
  let answer: Answer | Promise<Answer>;
  try {
    answer = service.onOpen?.(connection, metadata);
  } catch (error) {
    host.threw(name, error);
    answer = FAILED;
  }
  if (!(answer instanceof Promise)) return answered(host, id, service, connection, answer);
  const life = host.begin(id, service);
  life.opening = true;
  host.begun();
  const late = (given: Answer) => {
    host.decided();
    // The client may have ended it meanwhile.
    if (host.lifeAt(id) === life) answered(host, id, service, connection, given);
  };
  answer.then(late, (error: unknown) => {
    host.threw(name, error);
    late(FAILED);
  });
}

function answered(
  host: OfferHost,
  id: number,
  service: Service,
  connection: RunnerConnection,
  answer: Answer,
): void {
  const actions = connection.collected();
  if (answer !== undefined && "reason" in answer) {
    host.abandon(id);
    return host.session.act({ do: "reject", connection: id, reason: answer.reason, detail: answer.detail });
  }
  const opening: Opening = {
    ...(answer?.metadata === undefined ? {} : { metadata: answer.metadata }),
    ...(service.messageCredit === undefined ? {} : { messageCredit: service.messageCredit }),
    ...(service.description === undefined ? {} : { schema: service.description.hash }),
  };
  host.session.act({ do: "accept", connection: id, ...opening });
  for (const action of actions) host.session.act(action);
  const life = host.lifeAt(id);
  if (life === undefined) return;
  life.accepted();
  host.forgetIdle(life);
}

const FAILED: Rejection = { reason: "service-failed", detail: "the service failed" };
