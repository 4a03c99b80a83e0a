/** Base64 of bytes. Engines have it built in; the reference tells the compiler, whose ES2024 does not know it yet. */
/// <reference lib="esnext.typedarrays" />

export const toBase64 = (bytes: Uint8Array): string => bytes.toBase64();

/** @throws SyntaxError when `text` is not base64 */
export const fromBase64 = (text: string): Uint8Array => Uint8Array.fromBase64(text);
