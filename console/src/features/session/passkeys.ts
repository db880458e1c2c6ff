/** What the passkeys of this browser are asked, and what they answer. */
import { api, take } from '@/api/client';
import { Failure } from '@/api/failure';

/** As the API takes it: what `toJSON` of a `PublicKeyCredential` gives. */
export type Credential = Record<string, never>;

/** Why no passkey can be used on this page; nothing where one can. */
export function passkeyTrouble(): string | null {
  const { hostname } = globalThis.location;
  if (/^[\d.]+$|^\[/.test(hostname)) {
    const name = hostname.startsWith('127.') || hostname === '[::1]' ? 'localhost' : 'its name';
    return `Browsers take no passkeys at IP addresses. Open this page at ${name} to use one.`;
  }
  if (!globalThis.isSecureContext) return 'Passkeys need HTTPS, which this page does not have.';
  if (!('PublicKeyCredential' in globalThis) || !('toJSON' in PublicKeyCredential.prototype)) {
    return 'This browser knows no passkeys.';
  }
  return null;
}

/** Whether passkeys are offered beside names that the browser fills in. */
export async function areOffered(): Promise<boolean> {
  if (passkeyTrouble()) return false;
  return PublicKeyCredential.isConditionalMediationAvailable();
}

/** Asks for any passkey of this site. */
export async function prove(signal: AbortSignal, isOffered = false): Promise<Credential> {
  const { options } = await take(api.POST('/api/v1/session/challenge', { signal }));
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(
    options as unknown as PublicKeyCredentialRequestOptionsJSON,
  );
  const mediation = isOffered ? 'conditional' : 'optional';
  return answer(navigator.credentials.get({ publicKey, mediation, signal }));
}

/** Has the browser make a passkey that has been asked for. */
export async function make(options: Credential): Promise<Credential> {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(
    options as unknown as PublicKeyCredentialCreationOptionsJSON,
  );
  return answer(navigator.credentials.create({ publicKey }));
}

async function answer(asked: Promise<globalThis.Credential | null>): Promise<Credential> {
  const found = await asked.catch((error: unknown) => {
    throw Failure.declined(error);
  });
  if (!(found instanceof PublicKeyCredential)) throw Failure.declined(null);
  return found.toJSON() as Credential;
}
