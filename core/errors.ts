/**
 * The one table of error codes. HTTP, RPC, WebSocket replies and the page read it;
 * nothing else spells a status or a number.
 *
 * @source ZooKeeper `KeeperException.Code`; Kafka protocol error codes
 */

/** What an error code means to each protocol. */
export interface ErrorInfo {
  /** Official number: ZooKeeper's for ensemble codes, Kafka's for broker codes. */
  readonly number: number;
  /** HTTP status of the answer. */
  readonly status: number;
  /** Whether a client may send the same request again unchanged. */
  readonly retryable: boolean;
  /** Whether the request was not carried out, and another server, or the leader looked up again, may do it. */
  readonly retryElsewhere: boolean;
  /** Whether the request may have been carried out. */
  readonly unknownOutcome: boolean;
  /** One sentence for people. */
  readonly title: string;
}

type Flags = Partial<Pick<ErrorInfo, "retryElsewhere" | "unknownOutcome">>;

const info = (
  number: number,
  status: number,
  retryable: boolean,
  title: string,
  flags: Flags = {},
): ErrorInfo => ({
  number,
  status,
  retryable,
  retryElsewhere: false,
  unknownOutcome: false,
  title,
  ...flags,
});

const ELSEWHERE: Flags = { retryElsewhere: true };
const UNKNOWN: Flags = { unknownOutcome: true };

/** Codes of the ensemble (ZooKeeper's names and numbers; this project's own are below -2000). */
export const ZOO_ERRORS = {
  OK: info(0, 200, false, "success"),
  SYSTEM_ERROR: info(-1, 500, false, "the server failed", UNKNOWN),
  RUNTIME_INCONSISTENCY: info(-2, 409, false, "not tried, because another operation of the multi failed"),
  MARSHALLING_ERROR: info(-5, 400, false, "the request cannot be decoded"),
  UNIMPLEMENTED: info(-6, 501, false, "this operation is not implemented"),
  BAD_ARGUMENTS: info(-8, 400, false, "an argument is not valid"),
  NO_NODE: info(-101, 404, false, "the znode does not exist"),
  NO_AUTH: info(-102, 403, false, "not permitted"),
  BAD_VERSION: info(-103, 412, false, "the version does not match"),
  NO_CHILDREN_FOR_EPHEMERALS: info(-108, 409, false, "an ephemeral znode cannot have children"),
  NODE_EXISTS: info(-110, 409, false, "the znode exists already"),
  NOT_EMPTY: info(-111, 409, false, "the znode has children"),
  SESSION_EXPIRED: info(-112, 410, false, "the session has expired or was never opened"),
  INVALID_ACL: info(-114, 400, false, "the ACL is not valid"),
  SESSION_MOVED: info(-118, 409, false, "the session has moved to another node"),
  /** The request was not carried out: no quorum, or no leader, could take it. */
  NO_QUORUM: info(-2001, 503, true, "no quorum of the ensemble is reachable", ELSEWHERE),
  /** The request may or may not have been carried out. */
  UNKNOWN_OUTCOME: info(-2002, 504, false, "it is unknown whether the request was carried out", UNKNOWN),
  /** This node does not take requests now (killed, or it refuses to serve). */
  NODE_DOWN: info(-2003, 503, true, "the node is down", ELSEWHERE),
  /** No write will be applied under this xid any more; whether one was applied is unknown. */
  XID_TOO_OLD: info(
    -2004,
    409,
    false,
    "the session is past this xid; it is unknown whether the write was applied",
  ),
  THROTTLED: info(-2005, 429, true, "too many requests are waiting"),
  TOO_LARGE: info(-2006, 413, false, "the request is too large"),
  UNKNOWN_ENSEMBLE: info(-2007, 404, false, "the ensemble does not exist", ELSEWHERE),
  ENSEMBLE_EXISTS: info(-2008, 409, false, "the ensemble exists with another size"),
  NOT_FOUND: info(-2009, 404, false, "there is no such resource"),
  UNAUTHORIZED: info(-2010, 401, false, "a valid bearer token is required"),
  METHOD_NOT_ALLOWED: info(-2011, 405, false, "the method is not allowed here"),
  UNSUPPORTED_MEDIA_TYPE: info(-2012, 415, false, "the content type is not supported"),
  NOT_CONFIGURED: info(-2013, 503, false, "the deployment lacks a secret that this needs"),
  WOULD_LOSE_MAJORITY: info(-2014, 409, false, "it would leave the ensemble without a majority"),
  /** Another write has this xid; this one was not applied. */
  XID_REUSED: info(-2015, 422, false, "the xid was used for another write of this session"),
  NOT_ACCEPTABLE: info(-2020, 406, false, "none of the accepted content types is available"),
  URI_TOO_LONG: info(-2021, 414, false, "the URL is too long"),
  /** A list of children that does not fit into a message between objects; pages of it do. */
  ANSWER_TOO_LARGE: info(-2022, 413, false, "the answer is too large for one message; read it in pages"),
  UPGRADE_REQUIRED: info(-2023, 426, false, "this resource is a WebSocket"),
  REQUEST_TIMEOUT: info(-2030, 408, true, "the request did not arrive in time"),
  /** Answer of a local run whose ports accept requests before the build has finished. */
  STARTING: info(-2031, 503, true, "the server is starting"),
} as const satisfies Record<string, ErrorInfo>;

/** A code of the ensemble. */
export type ZooErrorCode = keyof typeof ZOO_ERRORS;

/** Codes of the broker (Kafka's names and numbers). */
export const KAFKA_ERRORS = {
  NONE: info(0, 200, false, "success"),
  OFFSET_OUT_OF_RANGE: info(1, 416, false, "the offset is outside of the log"),
  CORRUPT_MESSAGE: info(2, 400, false, "the record batch is corrupt"),
  UNKNOWN_TOPIC_OR_PARTITION: info(3, 404, true, "the topic or partition does not exist", ELSEWHERE),
  LEADER_NOT_AVAILABLE: info(5, 503, true, "the partition has no leader now", ELSEWHERE),
  NOT_LEADER_OR_FOLLOWER: info(6, 503, true, "this broker does not lead the partition", ELSEWHERE),
  REQUEST_TIMED_OUT: info(7, 504, true, "the request timed out", UNKNOWN),
  BROKER_NOT_AVAILABLE: info(8, 503, true, "the broker is down", ELSEWHERE),
  MESSAGE_TOO_LARGE: info(10, 413, false, "the record batch is too large"),
  INVALID_TOPIC_EXCEPTION: info(17, 422, false, "the topic name is not valid"),
  STALE_CONTROLLER_EPOCH: info(11, 409, false, "the controller epoch is older than the partition's"),
  NOT_ENOUGH_REPLICAS: info(19, 503, true, "too few replicas are in sync"),
  TOPIC_ALREADY_EXISTS: info(36, 409, false, "the topic exists already"),
  INVALID_PARTITIONS: info(37, 422, false, "the number of partitions is not valid"),
  INVALID_REPLICATION_FACTOR: info(38, 422, false, "the replication factor is not valid"),
  INVALID_CONFIG: info(40, 422, false, "a configuration is unknown, unsupported or invalid"),
  INVALID_REQUEST: info(42, 400, false, "the request is not valid"),
  KAFKA_STORAGE_ERROR: info(56, 503, true, "the log could not be written"),
  FENCED_LEADER_EPOCH: info(74, 503, true, "the leader epoch is older than the partition's", ELSEWHERE),
  UNKNOWN_LEADER_EPOCH: info(75, 503, true, "the leader epoch is newer than the partition's", ELSEWHERE),
  UNSUPPORTED_COMPRESSION_TYPE: info(76, 415, false, "the compression of the record batch is not supported"),
  INVALID_RECORD: info(87, 422, false, "a record is not valid"),
  THROTTLING_QUOTA_EXCEEDED: info(89, 429, true, "too many requests are waiting"),
  /** Kafka's for a topic id that does not match the name: the topic was deleted and created again. */
  INCONSISTENT_TOPIC_ID: info(103, 410, false, "the topic was deleted, and another one has its name"),
  /** This project's own: a conditional append found another end of the log. */
  OFFSET_MISMATCH: info(20_002, 412, false, "the log does not end at the expected offset"),
  /** This project's own: the key was used for another request within its window. */
  IDEMPOTENCY_KEY_REUSED: info(20_001, 422, false, "the idempotency key was used for another request"),
} as const satisfies Record<string, ErrorInfo>;

/** A code of the broker. */
export type KafkaErrorCode = keyof typeof KAFKA_ERRORS;

const byNumber = new Map<number, ZooErrorCode>(
  (Object.keys(ZOO_ERRORS) as ZooErrorCode[]).map((code) => [ZOO_ERRORS[code].number, code]),
);

/** The ensemble code of a wire number; an unknown number reads as SYSTEM_ERROR. */
export function zooErrorOf(number: number): ZooErrorCode {
  return byNumber.get(number) ?? "SYSTEM_ERROR";
}

/** The entry of a code in the tables; undefined for a code of a later version. */
export function errorInfo(code: string): ErrorInfo | undefined {
  if (Object.hasOwn(ZOO_ERRORS, code)) return ZOO_ERRORS[code as ZooErrorCode];
  return Object.hasOwn(KAFKA_ERRORS, code) ? KAFKA_ERRORS[code as KafkaErrorCode] : undefined;
}
