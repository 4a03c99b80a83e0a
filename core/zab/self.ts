/** Identity and configuration of a peer, fixed at its start. */
import type { ZabConfig, ZabTimeouts } from "./config.ts";
import type { Sid } from "./membership.ts";
import type { QuorumVerifier } from "./quorum-verifier.ts";

/** Identity and configuration of one incarnation of a peer. */
export interface Self {
  readonly sid: Sid;
  /** number of this incarnation, above all earlier ones of this peer */
  readonly boot: number;
  /** version of the protocol */
  readonly version: number;
  readonly quorum: QuorumVerifier;
  readonly config: ZabConfig;
  readonly timeouts: ZabTimeouts;
}
