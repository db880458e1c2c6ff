/**
 * What this browser remembers of the logs that it has checked: the key, and the largest checkpoint. So a
 * gateway that shows another log tomorrow is found out, also by a page that it serves itself.
 */
import type { Known } from '@/verify/record';

export interface Remembered extends Known {
  /** When it was seen first. */
  since: string;
}

export function readRemembered(workspace: string): Remembered | null {
  try {
    const read: unknown = JSON.parse(localStorage.getItem(PREFIX + workspace) ?? 'null');
    return isRemembered(read) ? read : null;
  } catch {
    // Storage may be forbidden, or hold what somebody else has put there.
    return null;
  }
}

export function remember(workspace: string, { key, checkpoint }: Known) {
  const since = readRemembered(workspace)?.since ?? new Date().toISOString();
  try {
    localStorage.setItem(PREFIX + workspace, JSON.stringify({ key, checkpoint, since }));
  } catch {
    // Then each page sees the log for the first time.
  }
}

export function forget(workspace: string) {
  try {
    localStorage.removeItem(PREFIX + workspace);
  } catch {
    // Nothing is remembered either.
  }
}

function isRemembered(read: unknown): read is Remembered {
  if (typeof read !== 'object' || read === null) return false;
  const { key, checkpoint, since } = read as Partial<Record<keyof Remembered, unknown>>;
  return [key, checkpoint, since].every((it) => typeof it === 'string');
}

const PREFIX = 'ostiary-log-';
