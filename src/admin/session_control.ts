/**
 * Does what operators want of sessions: ends them, breaks their conduits, sends on their connections, and keeps out whose they
 * are.
 *
 * A session that no node has attached is claimed for the moment; one that another node has attached is that node's to
 * act on, and it is asked (`errand_runner.ts`): to claim it would close its conduit.
 */

import { describeError } from "../observe/json_log.ts";
import { type Block, blockOf } from "../session/blocked.ts";
import type { SessionRegistry } from "../session/session_registry.ts";
import type { SessionRunner } from "../session/session_runner.ts";
import { decodeNode, detachedSince, knownProcesses } from "../session/node_directory.ts";
import { endingDue } from "../session/session_state.ts";
import * as keys from "../storage/keys.ts";
import { loadSession } from "../storage/session_load.ts";
import type { SessionStore } from "../storage/session_store.ts";
import type { SessionWish, Wish, WishOutcome } from "./errand.ts";
import { decodeReceipt, encodeReceipt, fingerprintOf, type Receipt, RECEIPT_LIFETIME_MS } from "./receipt.ts";

/** A session that other nodes write to all the time makes us read again; not for ever. */
const MOST_DECISIONS = 8;

/** Receipts kept for one ephemeral session; the oldest go first. */
const MOST_RECEIPTS = 1_000;

/** A process that gave no answer: its conduits may be as they were. */
export interface Unreached {
  /** The node's name. */
  readonly node: string;
  readonly boot: string;
}

/** How a principal was kept out. */
export interface KeptOut {
  /** The conduits that were broken on the nodes that answered. */
  readonly broken: number;
  readonly unreached: readonly Unreached[];
}

/** Asks another node's process to carry out a wish. */
export type AskNode = (boot: string, wish: Wish) => Promise<WishOutcome>;

export class SessionControl {
  readonly #registry: SessionRegistry;
  readonly #store: SessionStore;
  readonly #ask: AskNode;
  /** Of ephemeral sessions, which have nothing in the store. */
  readonly #receipts = new WeakMap<SessionRunner, Map<string, Receipt>>();

  constructor(registry: SessionRegistry, ask: AskNode) {
    this.#registry = registry;
    this.#store = registry.options.store;
    this.#ask = ask;
  }

  /** Carries out a wish, wherever its session is. Settles when that is committed. */
  async fulfil(wish: SessionWish): Promise<WishOutcome> {
    for (let decision = 0; decision < MOST_DECISIONS; decision++) {
      const outcome = await this.#fulfilHere(wish);
      if (outcome.kind !== "elsewhere") return outcome;
      const answer = await this.#ask(outcome.boot, wish);
      if (answer.kind !== "elsewhere") return answer;
    }
    return { kind: "unanswered" };
  }

  /** Carries out a wish as far as this node may: not where another one has the session attached. */
  async fulfilHere(wish: Wish): Promise<WishOutcome> {
    if (wish.wish !== "keep-out") return await this.#fulfilHere(wish);
    const block = await blockOf(this.#store, wish.principal);
    return { kind: "kept-out", broken: block === null ? 0 : this.#registry.keepOut(wish.principal, block) };
  }

  /**
   * Breaks the conduits of a principal that was blocked, on this node at once and on all others that are known. Settles within
   * the time that errands have.
   */
  async keepOut(principal: string, block: Block): Promise<KeptOut> {
    let broken = this.#registry.keepOut(principal, block);
    const others = (await knownProcesses(this.#store)).filter(({ boot }) => boot !== this.#registry.boot);
    const unreached: Unreached[] = [];
    await Promise.all(others.map(async ({ name: node, boot }) => {
      const outcome = await this.#ask(boot, { wish: "keep-out", principal }).catch((error: unknown) => {
        this.#registry.log.warn("errand-not-sent", { boot, error: describeError(error) });
        return null;
      });
      if (outcome?.kind === "kept-out") broken += outcome.broken;
      else unreached.push({ node, boot });
    }));
    return { broken, unreached };
  }

  #fulfilHere(wish: SessionWish): Promise<WishOutcome> {
    return this.#registry.decideAlone(wish.session, async () => {
      for (let decision = 0; decision < MOST_DECISIONS; decision++) {
        const outcome = await this.#decide(wish);
        if (outcome !== "again") return outcome;
      }
      return { kind: "unanswered" };
    });
  }

  async #decide(wish: SessionWish): Promise<WishOutcome | "again"> {
    const { session } = wish;
    const remembered = this.#registry.find(session);
    if (remembered !== undefined) return await this.#act(wish, remembered);
    const loaded = await loadSession(this.#store, session);
    if (loaded.kind === "moved") return "again";
    if (loaded.kind === "unknown") return { kind: "refused", why: "unknown-session" };
    if (loaded.kind === "tombstone") {
      if (wish.wish !== "push") return { kind: "refused", why: "ended" };
      const receipt = await this.#receiptOf(wish, null);
      return receipt === undefined ? { kind: "refused", why: "ended" } : judged(wish, receipt);
    }
    const { state, stored, owner } = loaded;
    if (owner !== null && owner !== this.#registry.boot && await this.#isUp(owner)) {
      return { kind: "elsewhere", boot: owner };
    }
    const now = this.#registry.clock.now();
    if (owner !== null) state.detachedAt = await detachedSince(this.#store, owner, now);
    const due = endingDue(state, now);
    const runner = this.#registry.restore(state, stored);
    try {
      if (due === null) return await this.#act(wish, runner);
      runner.end(due.reason, due.detail);
      await runner.committed();
      return "again";
    } finally {
      runner.park();
    }
  }

  /** Acts on a session in memory; "again" if it turns out that it is another node's. */
  async #act(wish: SessionWish, runner: SessionRunner): Promise<WishOutcome | "again"> {
    switch (wish.wish) {
      case "end": {
        if (runner.state.ended !== null) {
          return await runner.committed() ? { kind: "refused", why: "ended" } : "again";
        }
        runner.end("ended", wish.detail);
        return await runner.committed() ? { kind: "ended", at: runner.state.ended!.at } : "again";
      }
      case "break": {
        if (!runner.attached) return { kind: "broke", broken: false };
        runner.breakConduit("unavailable");
        return await runner.committed() ? { kind: "broke", broken: true } : "again";
      }
      case "push":
        return await this.#push(wish, runner);
      default:
        return wish satisfies never;
    }
  }

  async #push(
    wish: Extract<SessionWish, { readonly wish: "push" }>,
    runner: SessionRunner,
  ): Promise<WishOutcome | "again"> {
    const { connection, body, key, session } = wish;
    // Read after the session: whoever wrote a receipt has moved the session on, so a commit that builds on an older
    // one fails, and this is decided again.
    const known = await this.#receiptOf(wish, runner);
    if (known !== undefined) return judged(wish, known);
    if (!runner.live) return "again";
    const now = this.#registry.clock.now();
    let receipt: Receipt = { fingerprint: fingerprintOf(connection, body), connection, sequence: 0, at: now };
    const verdict = runner.push(connection, body, (sequence) => {
      receipt = { ...receipt, sequence };
      return {
        key: keys.receiptKey(session, key),
        value: encodeReceipt(receipt),
        expireIn: RECEIPT_LIFETIME_MS,
      };
    });
    if (verdict !== "taken") return { kind: "refused", why: verdict };
    if (!await runner.committed()) return "again";
    if (runner.version === null) this.#remember(runner, key, receipt);
    return { kind: "pushed", sequence: receipt.sequence, at: receipt.at, repeated: false };
  }

  async #receiptOf(
    wish: Extract<SessionWish, { readonly wish: "push" }>,
    runner: SessionRunner | null,
  ): Promise<Receipt | undefined> {
    const now = this.#registry.clock.now();
    if (runner !== null && runner.version === null) {
      const receipt = this.#receipts.get(runner)?.get(wish.key);
      return receipt !== undefined && now < receipt.at + RECEIPT_LIFETIME_MS ? receipt : undefined;
    }
    const [row] = await this.#store.get([keys.receiptKey(wish.session, wish.key)]);
    if (row === null || row === undefined) return undefined;
    const receipt = decodeReceipt(row.value);
    return now < receipt.at + RECEIPT_LIFETIME_MS ? receipt : undefined;
  }

  #remember(runner: SessionRunner, key: string, receipt: Receipt): void {
    const receipts = this.#receipts.get(runner) ?? new Map<string, Receipt>();
    this.#receipts.set(runner, receipts.set(key, receipt));
    if (receipts.size <= MOST_RECEIPTS) return;
    const [oldest] = receipts.keys();
    receipts.delete(oldest!);
  }

  async #isUp(boot: string): Promise<boolean> {
    const [row] = await this.#store.get([keys.nodeKey(boot)]);
    return row !== null && row !== undefined && decodeNode(row.value).expiresAt > this.#registry.clock.now();
  }
}

function judged(wish: Extract<SessionWish, { readonly wish: "push" }>, receipt: Receipt): WishOutcome {
  if (receipt.fingerprint !== fingerprintOf(wish.connection, wish.body)) {
    return { kind: "refused", why: "key-reused" };
  }
  return { kind: "pushed", sequence: receipt.sequence, at: receipt.at, repeated: true };
}
