/** 128 random bits as hex digits. `crypto.randomUUID` exists on secure origins only, and the page must also run on others. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
