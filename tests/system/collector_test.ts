import assert from "node:assert/strict";
import { collector } from "../../src/system/collector.ts";
import { settle } from "../support/fake_clock.ts";

Deno.test("what is young and in no use is gone once it is collected, as often as that is asked for", async () => {
  const collect = collector((why) => assert.fail(why));
  for (let turn = 0; turn < 3; turn++) {
    const seen = (() => new WeakRef(new Uint8Array(64 * 1024)))();
    // Until its turn is over, what a WeakRef was made of is in use.
    await settle();
    collect();
    // Not `assert.equal`, which would describe 64 KiB if it failed.
    assert.ok(seen.deref() === undefined);
  }
});
