/** An instance of a member: the core in one state, with its disk. */
import type { MemberStorage } from "../../../core/server/storage.ts";
import type { DurableWrite } from "../../../core/zab/effects.ts";
import type { ZabMessage } from "../../../core/zab/messages.ts";
import type { ZabPeer } from "../../../core/zab/peer.ts";
import type { MemoryBackend } from "../../memory-backend.ts";
import type { Outgoing } from "./step.ts";

/** Writes that become durable together. */
export interface Group {
  seq: number;
  readonly writes: readonly DurableWrite[];
  /** the encoded writes; undefined: not encoded yet */
  key: string | undefined;
}

/** One instance of a member. */
export interface Live {
  readonly peer: ZabPeer;
  readonly storage: MemberStorage;
  readonly durableBackend: MemoryBackend;
  readonly durable: MemberStorage;
  /** the encoded durable state; undefined: not encoded yet */
  durableKey: string | undefined;
  pending: Group[];
  /** outputs that wait until a number of groups of `pending` are durable */
  gate: { after: number; readonly item: Outgoing; readonly messages: readonly ZabMessage[] }[];
  told: Told;
}

/** The epochs that it has reported to others. */
export interface Told {
  acceptedEpoch: number;
  currentEpoch: number;
}
