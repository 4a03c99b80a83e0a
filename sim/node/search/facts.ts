/** Facts about a state that the search needs, read from the core. */
import { must } from "../../../core/assert.ts";
import { TxnCursor } from "../../../core/wire/txn-codec.ts";
import type { Sid } from "../../../core/zab/membership.ts";
import type { LogPosition } from "../../../core/zab/messages.ts";
import type { TxnLog } from "../../../core/zab/txn-log.ts";
import { compareZxid, equalZxid } from "../../../core/zab/zxid.ts";
import type { Live } from "./live.ts";
import { learnersOf, opened, rolesOf } from "./opened.ts";
import { type Entry, type Facts, Phase, Role } from "./step.ts";
import { Interner } from "./tables.ts";

/** Reads facts, and numbers the entries of all histories. Invariant: equal entries have equal numbers. */
export class FactsReader {
  readonly entries = new Interner<Entry>();

  /** The facts about a running member. */
  of(sid: Sid, live: Live): Facts {
    const { peer, storage, durable } = live;
    const decideAt = opened(rolesOf(peer).looking)._decideAt;
    const establishing = peer.role === "LEADING" && peer.phase !== "BROADCAST";
    return {
      sid,
      up: true,
      boot: storage.meta.boot,
      role: Role[peer.role],
      phase: Phase[peer.phase],
      leader: peer.leader ?? 0,
      pending: live.pending.length,
      mayDecide: decideAt !== Number.POSITIVE_INFINITY,
      mayResend:
        live.gate.length === 0 &&
        ((peer.role === "LOOKING" && decideAt === Number.POSITIVE_INFINITY) || establishing),
      mayPropose: peer.proposing?.mayPropose === true,
      mayCheckpoint:
        live.pending.length === 0 &&
        !peer.readsSnapshot &&
        compareZxid(peer.lastProcessedZxid, storage.meta.checkpoint.zxid) > 0,
      learners:
        peer.role === "LEADING" && peer.phase === "BROADCAST"
          ? learnersOf(peer)
              .sids.filter((each) => each !== sid)
              .sort()
          : [],
      acceptedEpoch: peer.acceptedEpoch,
      currentEpoch: peer.currentEpoch,
      durableAcceptedEpoch: durable.meta.acceptedEpoch,
      durableCurrentEpoch: durable.meta.currentEpoch,
      toldAcceptedEpoch: live.told.acceptedEpoch,
      toldCurrentEpoch: live.told.currentEpoch,
      log: this.entriesOf(storage.log),
      durableLog: this.entriesOf(durable.log),
      delivered: this.entry(
        storage.log,
        must(storage.log.positionAt(peer.lastProcessedZxid), "what is delivered is logged"),
      ),
    };
  }

  /** The numbers of the entries of a log, its base first. */
  entriesOf(log: TxnLog): number[] {
    const found = [this.entry(log, log.base)];
    let after = log.base.zxid;
    for (let slice = log.read(after); slice !== undefined; slice = log.read(after)) {
      const cursor = new TxnCursor(slice.batch);
      while (cursor.next())
        found.push(this.entry(log, must(log.positionAt(cursor.zxid()), "it is in the log")));
      after = slice.last;
    }
    return found;
  }

  /** The number of an entry of a log. */
  entry(log: TxnLog, { zxid, chain }: LogPosition): number {
    return this.entries.id(`${zxid.epoch}.${zxid.counter}/${chain.high}:${chain.low}`, () => {
      let after = log.base.zxid;
      for (let slice = log.read(after); slice !== undefined; slice = log.read(after)) {
        const cursor = new TxnCursor(slice.batch);
        while (cursor.next()) {
          if (equalZxid(cursor.zxid(), zxid))
            return { epoch: zxid.epoch, counter: zxid.counter, sid: cursor.session };
        }
        after = slice.last;
      }
      return { epoch: zxid.epoch, counter: zxid.counter, sid: 0 };
    });
  }
}
