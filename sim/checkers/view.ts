/** The part of an ensemble that checkers may read. They change nothing, and do not know how it is simulated. */
import type { ServerConfig } from "../../core/server/config.ts";
import type { EnsembleServer } from "../../core/server/server.ts";
import type { MemberStorage } from "../../core/server/storage.ts";
import type { StorageBackend } from "../../core/server/storage-backend.ts";
import type { Sid } from "../../core/zab/membership.ts";

/** The disk of a member. Groups of writes are numbered from 1. */
export interface DiskView extends Pick<StorageBackend, "readMeta" | "readTable"> {
  /** number of the last group that was written */
  readonly written: number;
  /** groups that are not durable yet */
  readonly pending: number;
}

/** One life of a member: from a start to the crash that ends it. */
export interface LifeView {
  readonly sid: Sid;
  /** 1 for the first life of this member, and so on */
  readonly number: number;
  /** 0 for the first life of all members of the run, and so on */
  readonly index: number;
  readonly server: EnsembleServer;
  readonly storage: MemberStorage;
  readonly disk: DiskView;
  /** group of writes up to which all is durable */
  readonly durable: number;
}

/** A member: up (with a life) or down. */
export interface MemberView {
  readonly sid: Sid;
  readonly life: LifeView | null;
  readonly clock: {
    /** Time that a member that sees every input may have counted by `now`, ms: only differences mean anything. */
    countedAt(now: number): number;
  };
}

/** A whole ensemble in virtual time. */
export interface EnsembleView {
  readonly seed: number;
  /** virtual time, ms */
  readonly now: number;
  /** events run so far */
  readonly events: number;
  readonly config: ServerConfig;
  readonly members: readonly MemberView[];
  /** maximum by which some member may have counted more time than passed; ms */
  readonly skewMs: number;
  /** longest undisturbed delay of a message to the leader; ms */
  readonly slowestMs: number;
  /** since when no link, alarm, clock or member was disturbed; ms of virtual time */
  readonly undisturbedSince: number;
  /** One line per member, for failures. */
  describe(): string;
}
