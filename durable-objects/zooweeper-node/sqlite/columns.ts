/** Values of columns, of which none is believed before its type and range are checked. */
import { DamagedError } from "../../../core/server/checksums.ts";
import { type Zxid, zxid } from "../../../core/zab/zxid.ts";
import type { Row } from "../../shared/sql.ts";

/** An integer of its range. @throws DamagedError */
export function num(row: Row, column: number, least = 0, most = Number.MAX_SAFE_INTEGER): number {
  const value = row[column];
  // A float or a number that does not fit would be cut to what fits before its checksum is compared.
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    throw new DamagedError(`column ${column} of ${String(row[0])} holds no number of its range`);
  }
  return value;
}

/** @throws DamagedError */
export const u32 = (row: Row, column: number): number => num(row, column, 0, 0xffff_ffff);
/** @throws DamagedError */
export const i32 = (row: Row, column: number): number => num(row, column, -0x8000_0000, 0x7fff_ffff);

/** @throws DamagedError */
export function text(row: Row, column: number): string {
  const value = row[column];
  if (typeof value !== "string") throw new DamagedError(`column ${column} holds no text`);
  return value;
}

/** Null: the column holds none. @throws DamagedError */
export function blob(row: Row, column: number): Uint8Array | null {
  const value = row[column];
  if (value === null || value === undefined) return null;
  if (!(value instanceof ArrayBuffer)) {
    throw new DamagedError(`column ${column} of ${String(row[0])} holds no bytes`);
  }
  return new Uint8Array(value);
}

/** Null: the row has none, for an earlier version wrote it. @throws DamagedError */
export const crcAt = (row: Row, column: number): number | null =>
  row[column] === null ? null : u32(row, column);

/** A zxid takes two columns: SQLite's integers come back as doubles. @throws DamagedError */
export const zxidAt = (row: Row, column: number): Zxid => zxid(u32(row, column), u32(row, column + 1));
