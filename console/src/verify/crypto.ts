/** The two things that WebCrypto does for the verifier. */

/** Browsers have it on pages that came over TLS, or from this machine. */
export function hasCrypto(): boolean {
  return typeof globalThis.crypto?.subtle?.verify === 'function';
}

export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
}

/** Whether a signature is that of a key (Ed25519, RFC 8032). What is of another length is none. */
export async function isSigned(
  key: Uint8Array<ArrayBuffer>,
  signature: Uint8Array<ArrayBuffer>,
  message: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  if (key.length !== 32 || signature.length !== 64) return false;
  try {
    const imported = await crypto.subtle.importKey('raw', key, 'Ed25519', false, ['verify']);
    return await crypto.subtle.verify('Ed25519', imported, signature, message);
  } catch (error) {
    // 32 bytes that are no point of the curve have signed nothing.
    if (error instanceof DOMException && error.name === 'DataError') return false;
    throw error;
  }
}
