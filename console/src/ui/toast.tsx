/** A short word about something that happened away from where one looks. One at a time. */
import { CloseButton } from '@mantine/core';
import { useSyncExternalStore } from 'react';

import classes from './toast.module.css';
import { Trouble } from './trouble';

interface Toast {
  what: string;
  error: unknown;
}

let shown: Toast | null = null;
const listeners = new Set<() => void>();

/** Says that something failed. It stays until it is closed or another one takes its place. */
export function showTrouble(what: string, error: unknown) {
  show({ what, error });
}

export function Toasts() {
  const toast = useSyncExternalStore(subscribe, () => shown);
  if (!toast) return null;
  return (
    <div className={classes.toast}>
      <Trouble what={toast.what} error={toast.error} />
      <CloseButton
        className={classes.close}
        size="sm"
        aria-label="Close message"
        onClick={() => show(null)}
      />
    </div>
  );
}

function show(toast: Toast | null) {
  shown = toast;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
