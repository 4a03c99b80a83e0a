/** Records the connections and events of a client in the history. */
import type { Zxid } from "../../core/zab/zxid.ts";
import type { SessionId, WatchEvent } from "../../core/znode/types.ts";
import { type Recorder, zxidToNumber } from "../history/history.ts";

/** Session and connection of a client, and the member at the other end; 0 for none. */
export interface Place {
  readonly session: SessionId;
  readonly conn: number;
  readonly member: number;
}

/** One client's part of the history, beside its requests. */
export class ClientLog {
  readonly #recorder: Recorder;

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  connected({ session, conn, member }: Place): void {
    this.#recorder.session({ type: "connect", session, conn, member });
  }

  disconnected({ session, conn, member }: Place): void {
    this.#recorder.session({ type: "disconnect", session, conn, member });
  }

  expired({ session, conn, member }: Place): void {
    this.#recorder.session({ type: "expired", session, conn, member });
  }

  watchFired({ session, conn }: Place, event: WatchEvent, zxid: Zxid): void {
    this.#recorder.watch({ session, conn, ...event, zxid: zxidToNumber(zxid) });
  }
}
