/** What a person likes, kept in this browser. Nothing else is kept anywhere. */
import { useSyncExternalStore } from 'react';

export type Preference = 'shortcuts' | 'times';

const DEFAULTS: Record<Preference, string> = { shortcuts: 'on', times: 'local' };
const listeners = new Set<() => void>();

export function readPreference(name: Preference): string {
  try {
    return localStorage.getItem(`ostiary-${name}`) ?? DEFAULTS[name];
  } catch {
    return DEFAULTS[name];
  }
}

export function writePreference(name: Preference, value: string) {
  try {
    localStorage.setItem(`ostiary-${name}`, value);
  } catch {
    // Storage may be forbidden; then the choice does not last.
  }
  for (const listener of listeners) listener();
}

export function usePreference(name: Preference): string {
  return useSyncExternalStore(subscribe, () => readPreference(name));
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  globalThis.addEventListener('storage', listener);
  return () => {
    listeners.delete(listener);
    globalThis.removeEventListener('storage', listener);
  };
}
