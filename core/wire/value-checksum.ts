/** Checksum of a text that is stored under a key. */
import { crc32c } from "../hash/crc32c.ts";
import { ByteWriter } from "./writer.ts";

const scratch = new ByteWriter(512);

/** CRC-32C of a stored text and its key, so that the text under another key is recognised. @returns an unsigned 32-bit number */
export function valueChecksum(key: string, value: string): number {
  scratch.reset();
  scratch.string(key);
  scratch.string(value);
  return crc32c(scratch.view());
}
