/** The column with the result of a session's last write, and the fingerprint of that request. */
import { DamagedError } from "../../../core/damaged-error.ts";
import { crc32c } from "../../../core/hash/crc32c.ts";
import { ByteReader, WireError } from "../../../core/wire/reader.ts";
import { readResult, writeResult } from "../../../core/wire/result-codec.ts";
import { ByteWriter } from "../../../core/wire/writer.ts";
import type { SessionRow } from "../../../core/znode/session.ts";
import type { WriteResult } from "../../../core/znode/types.ts";
import type { Row } from "../../shared/sql.ts";

/** Format of the bytes after a result. Versions before 2 read the result and ignore the rest. */
const FINGERPRINT_FORMAT = 1;
/** Bytes of format and fingerprint. */
const FINGERPRINT_BYTES = 9;

/** Packs `result · u8 format · i64 fingerprint · u32 CRC-32C of the two`; an unknown fingerprint is omitted. */
export function packResult(result: WriteResult | null, fingerprint: number): Uint8Array | null {
  if (result === null) return null;
  const writer = new ByteWriter(128);
  writeResult(writer, result);
  if (fingerprint === 0) return writer.finish();
  const at = writer.length;
  writer.u8(FINGERPRINT_FORMAT);
  writer.i64(fingerprint);
  writer.i32(crc32c(writer.view(), at, at + FINGERPRINT_BYTES) | 0);
  return writer.finish();
}

/** Reads {@link packResult}. @throws DamagedError */
export function unpackResult(
  bytes: Uint8Array | null,
  row: Row,
): Pick<SessionRow, "lastResult" | "lastFingerprint"> {
  if (bytes === null) return { lastResult: null };
  try {
    const reader = new ByteReader(bytes);
    const lastResult = readResult(reader);
    const lastFingerprint = readFingerprint(bytes, reader);
    return lastFingerprint === 0 ? { lastResult } : { lastResult, lastFingerprint };
  } catch (error) {
    if (error instanceof WireError) throw new DamagedError(`the last result of session ${String(row[0])}`);
    throw error;
  }
}

/** The fingerprint; 0 if there is none, or if it is damaged or of a later format. */
function readFingerprint(bytes: Uint8Array, reader: ByteReader): number {
  const { at, left } = reader;
  if (left !== FINGERPRINT_BYTES + 4 || reader.u8() !== FINGERPRINT_FORMAT) return 0;
  if (crc32c(bytes, at, at + FINGERPRINT_BYTES) !== new ByteReader(bytes, at + FINGERPRINT_BYTES).u32())
    return 0;
  return reader.i64();
}
