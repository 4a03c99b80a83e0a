/**
 * ACL vectors. Access control is not implemented yet: every znode is open, and only the open vector is accepted.
 *
 * | bytes | field |
 * |---|---|
 * | 4 | number of entries |
 * | per entry: 4 | perms (31 = all) |
 * | ustring, ustring | scheme, id |
 *
 * @source ZooKeeper `zookeeper.jute`: ACL, Id; `ZooDefs.Ids.OPEN_ACL_UNSAFE`
 */
import type { ZooErrorCode } from "../../errors.ts";
import { type ByteReader, WireError } from "../reader.ts";
import { ByteWriter } from "../writer.ts";

const PERMS_ALL = 31;
/** An entry of two empty strings. */
const ENTRY_BYTES_MIN = 12;

const OPEN_ACL = encodeOpenAcl();

function encodeOpenAcl(): Uint8Array {
  const writer = new ByteWriter(32);
  writer.i32(1);
  writer.i32(PERMS_ALL);
  writer.string("world");
  writer.string("anyone");
  return writer.finish();
}

/** Writes the open vector: every client may do everything. */
export function writeOpenAcl(writer: ByteWriter): void {
  writer.bytes(OPEN_ACL);
}

/**
 * Reads a vector that a client sent.
 * @returns undefined for the open one, else why it is refused
 * @throws WireError when it is no vector of ACL
 */
export function readAcl(reader: ByteReader): ZooErrorCode | undefined {
  const count = reader.count(ENTRY_BYTES_MIN);
  let open = true;
  for (let i = 0; i < count; i++) {
    const perms = reader.i32();
    const scheme = reader.string();
    const id = reader.string();
    if (perms !== PERMS_ALL || scheme !== "world" || id !== "anyone") open = false;
  }
  if (count === 0) return "INVALID_ACL";
  return open && count === 1 ? undefined : "UNIMPLEMENTED";
}

/** Reads the vector of a txn. @throws WireError for any but the open one */
export function readOpenAcl(reader: ByteReader): void {
  if (readAcl(reader) !== undefined) throw new WireError("a txn carries an ACL that is not open");
}
