/** Principals as an operator sees them, and how they are kept out. */

import { type Block, blockOf, setBlock } from "../session/blocked.ts";
import type { SessionRegistry } from "../session/session_registry.ts";
import * as keys from "../storage/keys.ts";
import { hashOf } from "../system/hash.ts";
import type { KeptOut, SessionControl } from "./session_control.ts";

/** Sessions of one principal are looked at up to here. */
const MOST_SESSIONS = 10_000;
/** A principal, by its sessions that have not ended: those of the store, and the ephemeral ones of this node. */
export interface PrincipalView {
  readonly principal: string;
  readonly sessions: number;
  /** How many it may have, unless its credentials say otherwise. */
  readonly sessionLimit: number;
  readonly blocked: Block | null;
}

export class Principals {
  readonly #registry: SessionRegistry;
  readonly #control: SessionControl;
  readonly #sessionLimit: number;

  /** @param sessionLimit `HOLDFAST_SESSIONS_PER_PRINCIPAL`. */
  constructor(registry: SessionRegistry, control: SessionControl, sessionLimit: number) {
    this.#registry = registry;
    this.#control = control;
    this.#sessionLimit = sessionLimit;
  }

  /** Shows a principal; one that nobody knows has no sessions and is not blocked. */
  async show(principal: string): Promise<PrincipalView> {
    const blocked = await blockOf(this.#registry.options.store, principal);
    const sessions = (await this.#sessionsOf(principal)).length;
    return { principal, sessions, sessionLimit: this.#sessionLimit, blocked };
  }

  /**
   * Refuses a principal's handshakes from now on, resumes too, and breaks its conduits. Its sessions expire by themselves.
   * Settles when all other nodes have answered, or their time is over.
   *
   * @param principal Not that of operators, who are not kept out.
   */
  async block(principal: string, detail: string): Promise<PrincipalView & KeptOut> {
    const block = { detail, at: this.#registry.clock.now() };
    // First of all: a node that is not asked finds it, and one that is asked looks it up.
    await setBlock(this.#registry.options.store, principal, block);
    const kept = await this.#control.keepOut(principal, block);
    return { ...await this.show(principal), ...kept };
  }

  /** Lets a principal in again. */
  async unblock(principal: string): Promise<PrincipalView> {
    await setBlock(this.#registry.options.store, principal, null);
    return await this.show(principal);
  }

  async #sessionsOf(principal: string): Promise<string[]> {
    const { store } = this.#registry.options;
    const rows = await store.list(keys.principalOf(hashOf(principal)), { limit: MOST_SESSIONS });
    const ids = new Set(rows.map(({ key }) => key[2] as string));
    // Ephemeral ones are in no index.
    for (const { state } of this.#registry.sessionsOf(principal)) ids.add(state.id);
    return [...ids];
  }
}
