/** The servers of the contest: how each is started, with which settings, and where its client runs. */

import { denoProgram, type Program, root } from "../line_process.ts";
import type { Contender } from "./jobs.ts";

const BUILD = `${root}.build/rivals/`;

/** Every program of the contest that runs on Node, bundled from TypeScript. */
const BUNDLES = ["generator", "servers/socket_io", "servers/river", "servers/colyseus"];

/** What a server is given. */
export interface Room {
  readonly port: number;
  /** Its files; kept when it is started again. */
  readonly directory: string;
}

/** A server of the contest. */
export interface ServerKind {
  /** What the report says of it: guarantees and settings that decide speed. */
  readonly settings: string;
  /** The scheme of the url that its client wants. */
  readonly scheme: "http" | "ws" | "mqtt" | "nats";
  program(room: Room): Program | Promise<Program>;
  /** `line`: it collects garbage when it is sent a line, and says `collected` with its memory; `stats`: on its side port; else there is no collector. */
  readonly collect: "line" | "stats" | "none";
  /** Asks the program for its version. */
  version(): Promise<string>;
}

const bundled = (name: string) => `${BUILD}${name.slice(name.lastIndexOf("/") + 1)}.mjs`;

function node(name: string, { port }: Room, flags: readonly string[] = []): Program {
  return {
    name,
    command: "node",
    args: ["--expose-gc", ...flags, bundled(name)],
    env: { PORT: String(port) },
  };
}

function deno(kind: "bare" | "holdfast", { port, directory }: Room): Program {
  return denoProgram(kind, `servers/${kind}.ts`, [], {
    PORT: String(port),
    HOLDFAST_LOG_LEVEL: "error",
    HOLDFAST_KV: `${directory}/store.sqlite3`,
    // So that what the report calls detached is what it says for a durable session: parked.
    HOLDFAST_PARK_AFTER: "2s",
  });
}

async function mosquitto({ port, directory }: Room): Promise<Program> {
  const file = `${directory}/mosquitto.conf`;
  await Deno.writeTextFile(
    file,
    [
      `listener ${port} 127.0.0.1`,
      "allow_anonymous true",
      "persistence true",
      `persistence_location ${directory}/`,
      "max_inflight_messages 0",
      "max_queued_messages 0",
      "set_tcp_nodelay true",
      "log_dest none",
      "user root",
      "",
    ].join("\n"),
  );
  return { name: "mosquitto", command: "/usr/sbin/mosquitto", args: ["-c", file] };
}

function nats({ port, directory }: Room): Program {
  const args = ["-a", "127.0.0.1", "-p", String(port), "-js", "-sd", directory, "-l", `${directory}/log`];
  return { name: "nats-server", command: "nats-server", args };
}

const denoVersion = () => Promise.resolve(`Deno ${Deno.version.deno}`);

async function npmVersion(name: string): Promise<string> {
  const { version } = JSON.parse(await Deno.readTextFile(`${BUILD}node_modules/${name}/package.json`));
  return `${name} ${version}`;
}

async function said(command: string, args: string[], pattern: RegExp): Promise<string> {
  const { stdout, stderr } = await new Deno.Command(command, { args, stdout: "piped", stderr: "piped" })
    .output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  return pattern.exec(text)?.[1] ?? "unknown";
}

/** Node's version, which the npm servers and all npm clients run on. */
export const nodeVersion = () => said("node", ["--version"], /v(\S+)/).then((version) => `Node ${version}`);

const onNode = (name: string) => async () => `${await npmVersion(name)} on ${await nodeVersion()}`;

const HOLDFAST = {
  scheme: "http",
  program: (room: Room) => deno("holdfast", room),
  collect: "stats",
} as const;

const mosquittoKind = (qos: 1 | 2): ServerKind => ({
  settings: `MQTT 5, persistent sessions (expiry 600 s), QoS ${qos} both ways, receive maximum 65,535, ` +
    "unlimited in flight and queued, `persistence true` with its default autosave (1,800 s: the file is written then and at a clean stop, no fsync per message), TCP_NODELAY",
  scheme: "mqtt",
  program: mosquitto,
  collect: "none",
  version: async () => {
    const broker = await said("/usr/sbin/mosquitto", ["-h"], /version (\S+)/);
    return `mosquitto ${broker}, client ${await npmVersion("mqtt")} on ${await nodeVersion()}`;
  },
});

const natsKind = (settings: string): ServerKind => ({
  settings:
    `${settings}; file storage with its default sync interval (2 min: no fsync per message), one replica`,
  scheme: "nats",
  program: nats,
  collect: "none",
  version: async () => {
    const server = await said("nats-server", ["--version"], /v(\d\S*)/);
    return `nats-server ${server}, client ${await npmVersion("nats")} on ${await nodeVersion()}`;
  },
});

/** The server of each system. */
export const SERVERS: Readonly<Record<Contender, ServerKind>> = {
  "bare": {
    settings:
      "a WebSocket echo on `Deno.upgradeWebSocket`: no session, no ack, one message per frame; nothing is kept",
    scheme: "http",
    program: (room) => deno("bare", room),
    collect: "stats",
    version: denoVersion,
  },
  "ephemeral": {
    settings:
      "acked means held in memory; MessagePack, what one frame caused goes into one frame; defaults but `HOLDFAST_PARK_AFTER=2s` and `HOLDFAST_LOG_LEVEL=error`",
    ...HOLDFAST,
    version: denoVersion,
  },
  "durable": {
    settings:
      "acked means committed to Deno KV on SQLite, one fsync per commit, commits of all sessions grouped; MessagePack; defaults but `HOLDFAST_PARK_AFTER=2s` and `HOLDFAST_LOG_LEVEL=error`",
    ...HOLDFAST,
    version: denoVersion,
  },
  "socket.io": {
    settings:
      "connection state recovery (in memory, 2 min), WebSocket only, text messages; delivery is at most once, without acks",
    scheme: "http",
    program: (room) => node("servers/socket_io", room),
    collect: "line",
    version: onNode("socket.io"),
  },
  "river": {
    settings: "one `stream` procedure per session, its MessagePack codec, session grace 120 s (in memory)",
    scheme: "ws",
    program: (room) => node("servers/river", room),
    collect: "line",
    version: onNode("@replit/river"),
  },
  "colyseus": {
    settings:
      "one room, `allowReconnection` for 120 s (in memory), no state synchronised; messages are at most once, without acks; " +
      "its server needs a global WebSocket, which Node 20 has behind a flag",
    scheme: "http",
    program: (room) => node("servers/colyseus", room, ["--experimental-websocket"]),
    collect: "line",
    version: onNode("@colyseus/core"),
  },
  "mosquitto-qos1": mosquittoKind(1),
  "mosquitto-qos2": mosquittoKind(2),
  "jetstream": natsKind(
    "each session a client with a durable pull consumer; published with an id for deduplication, consumed with explicit acks, redelivered after 1 s where clients are cut off (default 30 s), `consume` with 500 messages at most under way",
  ),
  "jetstream-publish": natsKind("one client publishes and awaits acks; nothing is consumed"),
};

/** The load generator for a system: the npm clients run on Node, which is faster with them; raw sockets on Deno. */
export function generatorProgram(contender: Contender, assignment: string): Program {
  const name = `the load on ${contender}`;
  return contender === "bare" || contender === "ephemeral" || contender === "durable"
    ? denoProgram(name, "rivals/generator.ts", [assignment])
    : { name, command: "node", args: ["--expose-gc", bundled("generator"), assignment] };
}

/**
 * Bundles what runs on Node.
 *
 * @throws Error if `bench/install.sh` was not run, or a bundle cannot be made.
 */
export async function prepare(): Promise<void> {
  try {
    await Deno.stat(`${BUILD}node_modules`);
  } catch (error) {
    throw new Error("the systems to compare with are not installed: run bench/install.sh", { cause: error });
  }
  for (const name of BUNDLES) {
    const from = new URL(`${name}.ts`, import.meta.url).pathname;
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["bundle", "--quiet", "--platform", "deno", "-o", bundled(name), from],
      stdout: "null",
      stderr: "piped",
    }).output();
    if (!success) throw new Error(`${name} cannot be bundled: ${new TextDecoder().decode(stderr)}`);
  }
}
