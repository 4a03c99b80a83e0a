/** Reads values of columns, and checks their types and ranges. */
import { DamagedError } from "../../../core/damaged-error.ts";
import { type Zxid, zxid } from "../../../core/zab/zxid.ts";
import type { Row } from "../../shared/sql.ts";

/** An integer of its range. @throws DamagedError */
export function num(row: Row, column: number, least = 0, most = Number.MAX_SAFE_INTEGER): number {
  const value = row[column];
  // A float or an out-of-range number would be truncated before its checksum is compared.
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    throw new DamagedError(`column ${column} of ${String(row[0])} has no number in its range`);
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
  if (typeof value !== "string") throw new DamagedError(`column ${column} has no text`);
  return value;
}

/** The bytes of a column; null if it has none. @throws DamagedError */
export function blob(row: Row, column: number): Uint8Array | null {
  const value = row[column];
  if (value === null || value === undefined) return null;
  if (!(value instanceof ArrayBuffer)) {
    throw new DamagedError(`column ${column} of ${String(row[0])} has no bytes`);
  }
  return new Uint8Array(value);
}

/** The checksum of a row; null if an earlier version wrote it without one. @throws DamagedError */
export const crcAt = (row: Row, column: number): number | null =>
  row[column] === null ? null : u32(row, column);

/** A zxid takes two columns: SQLite's integers come back as doubles. @throws DamagedError */
export const zxidAt = (row: Row, column: number): Zxid => zxid(u32(row, column), u32(row, column + 1));
