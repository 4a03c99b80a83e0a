/** Base64 of bytes. Engines have it built in; the reference declares it for the compiler, whose ES2024 lacks it. */
/// <reference lib="esnext.typedarrays" />

/** Standard alphabet, with padding. */
export const toBase64 = (bytes: Uint8Array): string => bytes.toBase64();

/** @throws SyntaxError when `text` is not base64 */
export const fromBase64 = (text: string): Uint8Array => Uint8Array.fromBase64(text);
