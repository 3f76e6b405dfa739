/**
 * Decides handshakes with what memory and the store hold: creates, resumes, takes over.
 *
 * What memory knows never refuses a durable session: it may have moved on elsewhere, so the store decides
 * (`resume.refused`).
 */

import { Semaphore } from "es-toolkit";
import { ANONYMOUS, type Authentication, type Grant } from "../access/authenticator.ts";
import { CHALLENGE_MEMORY_MS } from "../protocol/limits.ts";
import type { Durability, RequestedSettings, Start } from "../protocol/messages.ts";
import { challengeKey, isSessionId, sessionKey } from "../storage/keys.ts";
import { loadSession } from "../storage/session_load.ts";
import { decodeChallenge, encodeIdentity, type Tombstone } from "../storage/session_record.ts";
import type { Version } from "../storage/session_store.ts";
import { newStoredSession } from "../storage/session_write.ts";
import { hashOf } from "../system/hash.ts";
import { KeyedLock } from "../system/keyed_lock.ts";
import { publicId, secret } from "../system/random.ts";
import * as judge from "./admission_state.ts";
import type { Link } from "./link.ts";
import { blockOf, mayBeBlocked } from "./blocked.ts";
import { detachedSince } from "./node_directory.ts";
import { newSession, type SessionSettings, type SessionState } from "./session_model.ts";
import type { SessionRegistry } from "./session_registry.ts";
import { SessionRunner } from "./session_runner.ts";
import { NODE_FULL } from "./slots_runner.ts";
import type { TokenHash } from "./token_state.ts";

/** A session that another node writes to all the time makes us read again; not for ever. */
const MOST_DECISIONS = 8;

type Found = SessionRunner | "moved" | "unknown" | { readonly tombstone: Tombstone };

export class Admission {
  readonly #registry: SessionRegistry;
  readonly #lock = new KeyedLock();
  /** Challenges of ephemeral sessions, oldest first. */
  readonly #challenges = new Map<string, { readonly session: string; readonly until: number }>();

  /** Whose handshakes are being decided, of those who may be blocked. */
  readonly #deciding = new Map<string, Set<Link>>();
  /** What the store is asked for those who have not said who they are shares this many; more of it waits. */
  readonly #strangersReads: Semaphore;

  constructor(registry: SessionRegistry, strangersReads: number) {
    this.#registry = registry;
    this.#strangersReads = new Semaphore(strangersReads);
  }

  /** Runs `work` alone among all that decide about one session (or challenge) on this node. */
  alone<T>(key: string, work: () => Promise<T>): Promise<T> {
    return this.#lock.run(key, work);
  }

  /** Decides one handshake and answers the link. Rejects only for what nobody foresaw, the store's failures included. */
  async decide(link: Link, start: Start): Promise<void> {
    const { options, authenticator, draining } = this.#registry;
    const { resume } = start;
    const credentials = start.auth ?? link.peer.credentials;
    // Who drains a node wants to see it.
    const refuses = draining && authenticator.isOperator?.(credentials) !== true;
    const refusal = judge.judgeStart(start, options.limits) ?? (refuses ? judge.DRAINING : null) ??
      this.#registry.countHandshake(link, resume === undefined ? "fresh" : "resume");
    if (refusal !== null) return link.refuse(refusal);
    const authentication = await authenticator.authenticate(credentials);
    if (!authentication.ok) return await this.#admit(link, start, authentication);
    const { principal } = authentication.grant;
    if (!mayBeBlocked(principal)) return await this.#admit(link, start, authentication);
    // Before the block is looked for: one that is set from now on is found there, or finds this link here.
    const deciding = this.#deciding.get(principal) ?? new Set<Link>();
    this.#deciding.set(principal, deciding.add(link));
    try {
      const block = await blockOf(options.store, principal);
      if (block !== null) return link.refuse({ reason: "forbidden", detail: block.detail });
      await this.#admit(link, start, authentication);
    } finally {
      deciding.delete(link);
      if (deciding.size === 0) this.#deciding.delete(principal);
    }
  }

  /** Refuses all the handshakes of a principal that are being decided. */
  refuseAll(principal: string, refusal: judge.Refusal): void {
    for (const link of this.#deciding.get(principal) ?? []) link.refuse(refusal);
  }

  async #admit(link: Link, start: Start, authentication: Authentication): Promise<void> {
    const { resume } = start;
    if (resume === undefined) {
      if (!authentication.ok) return link.refuse(judge.refusedCredentials(authentication));
      const { grant } = authentication;
      const challenge = hashOf(grant.principal, start.challenge);
      return await this.alone(challenge, () => this.#create(link, start, challenge, grant));
    }
    if (!isSessionId(resume.session)) return link.refuse(judge.UNKNOWN_SESSION);
    const claim: judge.ResumeClaim = {
      token: hashOf(resume.token),
      authentication,
      counters: resume,
      settings: start.settings,
    };
    await this.alone(resume.session, () => this.#resume(link, start, resume.session, claim));
  }

  /** A new session, or the one that the identical `start` created before (`handshake.challenge`). */
  async #create(link: Link, start: Start, challenge: string, grant: Grant): Promise<void> {
    const { options: { store }, clock, slots } = this.#registry;
    const known = this.#challenges.get(challenge);
    if (known !== undefined && known.until > clock.now()) {
      return await this.alone(known.session, () => this.#repeat(link, start, known.session, grant));
    }
    if (start.settings?.durability === "ephemeral") {
      return await this.#createEphemeral(link, start, challenge, grant);
    }
    let challengeVersion: Version | null = null;
    for (let decision = 0; decision < MOST_DECISIONS && link.open; decision++) {
      const made = await slots.make(grant, () => {
        const state = this.#newSession(start, challenge, grant);
        return this.#registry.keep(state, newStoredSession(encodeIdentity(state), challengeVersion));
      });
      const full = made instanceof SessionRunner ? null : made;
      if (made instanceof SessionRunner) {
        // Nobody waits for it any more, and nothing of it was written.
        if (!link.open) return made.park();
        if (await this.#attach(link, start, made, null, grant)) return;
      }
      // Also where there is no room: the session that this `start` made may be among those that took it.
      const [row] = await this.#askStore(grant, () => store.get([challengeKey(challenge)]));
      if (row !== null && row !== undefined) {
        const { session, at } = decodeChallenge(row.value);
        if (at + CHALLENGE_MEMORY_MS > clock.now()) {
          return await this.alone(session, () => this.#repeat(link, start, session, grant));
        }
        challengeVersion = row.version;
      }
      if (full !== null) return link.refuse(full);
    }
    link.refuse(judge.UNAVAILABLE);
  }

  async #createEphemeral(link: Link, start: Start, challenge: string, grant: Grant): Promise<void> {
    const now = this.#registry.clock.now();
    for (const [key, { until }] of this.#challenges) {
      if (until > now) break;
      this.#challenges.delete(key);
    }
    const made = await this.#registry.slots.make(grant, () => {
      return this.#registry.keep(this.#newSession(start, challenge, grant), null);
    });
    if (!(made instanceof SessionRunner)) return link.refuse(made);
    if (!link.open) return made.park();
    const { id: session, provisionalUntil: until } = made.state;
    this.#challenges.delete(challenge);
    this.#challenges.set(challenge, { session, until });
    await this.#attach(link, start, made, null, grant);
  }

  async #repeat(link: Link, start: Start, session: string, grant: Grant): Promise<void> {
    for (let decision = 0; decision < MOST_DECISIONS && link.open; decision++) {
      const found = await this.#find(session, grant);
      if (found === "moved") continue;
      if (found === "unknown" || "tombstone" in found) return link.refuse(judge.CHALLENGE_USED);
      const refusal = judge.judgeRepeat(found.state, start, this.#registry.clock.now());
      if (refusal !== null) return link.refuse(refusal);
      if (this.#hasNoRoom(found)) return link.refuse(NODE_FULL);
      if (await this.#attach(link, start, found, null, grant)) return;
    }
    link.refuse(judge.UNAVAILABLE);
  }

  async #resume(link: Link, start: Start, session: string, claim: judge.ResumeClaim): Promise<void> {
    const { clock, ended } = this.#registry;
    const { authentication } = claim;
    const grant = authentication.ok ? authentication.grant : null;
    for (let decision = 0; decision < MOST_DECISIONS && link.open; decision++) {
      const remembered = this.#registry.find(session);
      if (
        grant !== null && remembered !== undefined &&
        judge.judgeResume(remembered.state, claim, clock.now()) === null
      ) {
        if (await this.#attach(link, start, remembered, claim.token, grant)) return;
        continue;
      }
      const found = await this.#find(session, grant);
      if (found === "moved") continue;
      if (found === "unknown") return link.refuse(ended.judge(session, claim) ?? judge.UNKNOWN_SESSION);
      if ("tombstone" in found) {
        return this.#refuseResume(link, session, judge.judgeTombstone(found.tombstone, claim), null);
      }
      const refusal = judge.judgeResume(found.state, claim, clock.now());
      if (refusal !== null || grant === null) {
        return this.#refuseResume(link, session, refusal ?? judge.UNAVAILABLE, found);
      }
      if (this.#hasNoRoom(found)) return link.refuse(NODE_FULL);
      if (await this.#attach(link, start, found, claim.token, grant)) return;
    }
    link.refuse(judge.UNAVAILABLE);
  }

  /**
   * The session as the store has it now: this node's own memory if that is what the store holds, otherwise one just read,
   * which nobody has claimed.
   */
  async #find(session: string, grant: Grant | null): Promise<Found> {
    const { options: { store }, clock } = this.#registry;
    const remembered = this.#registry.find(session);
    if (remembered !== undefined) {
      await remembered.whenCommitted();
      if (remembered.live && remembered.version === null) return remembered;
      const [core] = await this.#askStore(grant, () => store.get([sessionKey(session)]));
      if (remembered.live && core?.version === remembered.version) return remembered;
      // It has committed since, or another node has: only a commit of its own can tell.
      await this.#askStore(grant, () => remembered.confirmOwnership());
      return remembered.live ? remembered : "moved";
    }
    const loaded = await this.#askStore(grant, async () => {
      const loaded = await loadSession(store, session);
      if (loaded.kind === "session" && loaded.owner !== null) {
        loaded.state.detachedAt = await detachedSince(store, loaded.owner, clock.now());
      }
      return loaded;
    });
    if (loaded.kind === "tombstone") return { tombstone: loaded.tombstone };
    if (loaded.kind !== "session") return loaded.kind;
    return this.#registry.restore(loaded.state, loaded.stored);
  }

  /** True if the conduit is attached, or is gone by now, its attach committed or not begun; false: decide afresh. */
  async #attach(
    link: Link,
    start: Start,
    runner: SessionRunner,
    used: TokenHash | null,
    grant: Grant,
  ): Promise<boolean> {
    // It may have closed while the store was read, and would never say so again.
    if (!link.open) return true;
    const token = secret(this.#registry.options.random);
    const { received, sent } = start.resume ?? { received: 0, sent: 0 };
    this.#registry.adopt(runner);
    const outcome = await runner.attach({
      link,
      challenge: start.challenge,
      token,
      hash: hashOf(token),
      grant,
      peer: { received, sent },
      used,
      resumed: used !== null,
    });
    return outcome === "attached";
  }

  #refuseResume(link: Link, session: string, refusal: judge.Refusal, found: SessionRunner | null): void {
    link.refuse(refusal);
    if (refusal.reason !== "stale-token") return;
    this.#registry.metrics.tokenTheftSuspected();
    this.#registry.log.warn("suspected-token-theft", { session, conduit: link.id });
    if (found === null || this.#registry.options.tokenReuse === "keep") return;
    this.#registry.adopt(found);
    found.end("token-reuse", "a token that was replaced was presented (resume.rotate)");
  }

  /** Asks the store something; for those who have not said who they are, only so much at once. */
  async #askStore<T>(grant: Grant | null, ask: () => Promise<T>): Promise<T> {
    if (grant !== null && grant.principal !== ANONYMOUS) return await ask();
    await this.#strangersReads.acquire();
    try {
      return await ask();
    } finally {
      this.#strangersReads.release();
    }
  }

  /** True if a session that is not in memory cannot come into it. */
  #hasNoRoom(runner: SessionRunner): boolean {
    return this.#registry.find(runner.state.id) !== runner && this.#registry.slots.nodeFull;
  }

  #newSession(start: Start, challenge: string, grant: Grant): SessionState {
    const { options, clock } = this.#registry;
    const createdAt = clock.now();
    return newSession({
      id: publicId(options.random),
      principal: grant.principal,
      createdAt,
      challenge,
      provisionalUntil: createdAt + CHALLENGE_MEMORY_MS,
      settings: this.#settings(start.settings ?? {}, grant),
    });
  }

  #settings(requested: RequestedSettings, grant: Grant): SessionSettings {
    const { limits: ours, idleTimeout, keepalive, ...waits } = this.#registry.options;
    const resumeWindow = Math.min(waits.resumeWindow, grant.limits.resumeWindow ?? Infinity);
    const connections = Math.min(ours.connections, grant.limits.connections ?? Infinity);
    const limits = { ...ours, connections };
    const durability: Durability = requested.durability ?? "durable";
    const clientWindow = {
      messages: requested.windowMessages ?? limits.windowMessages,
      bytes: requested.windowBytes ?? limits.windowBytes,
    };
    return { durability, limits, clientWindow, resumeWindow, idleTimeout, keepalive };
  }
}
