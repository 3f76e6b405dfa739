/** Which client speaks for which system. */

import { Colyseus } from "./colyseus.ts";
import type { Conversation, Hearer, Place } from "./conversation.ts";
import { HoldfastConversation } from "./holdfast.ts";
import { JetStreamConversation, JetStreamPublisher } from "./jetstream.ts";
import type { Contender } from "./jobs.ts";
import { MqttConversation } from "./mqtt.ts";
import { Plain } from "./plain.ts";
import { River } from "./river.ts";
import { SocketIo } from "./socket_io.ts";

const CLIENTS: Readonly<Record<Contender, (place: Place, hearer: Hearer) => Conversation>> = {
  "bare": (place, hearer) => new Plain(place, hearer),
  "ephemeral": (place, hearer) => new HoldfastConversation(place, hearer, "ephemeral"),
  "durable": (place, hearer) => new HoldfastConversation(place, hearer, "durable"),
  "socket.io": (place, hearer) => new SocketIo(place, hearer),
  "river": (place, hearer) => new River(place, hearer),
  "colyseus": (place, hearer) => new Colyseus(place, hearer),
  "mosquitto-qos1": (place, hearer) => new MqttConversation(place, hearer, 1),
  "mosquitto-qos2": (place, hearer) => new MqttConversation(place, hearer, 2),
  "jetstream": (place, hearer) => new JetStreamConversation(place, hearer),
  "jetstream-publish": (place, hearer) => new JetStreamPublisher(place, hearer),
};

/** A client of a system, not yet open. */
export function conversationOf(contender: Contender, place: Place, hearer: Hearer): Conversation {
  return CLIENTS[contender](place, hearer);
}
