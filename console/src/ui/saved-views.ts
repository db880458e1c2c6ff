/** Ways of looking at a list, under names, kept in this browser for each workspace. */
import { useSyncExternalStore } from 'react';

export interface SavedView {
  name: string;
  /** What stands in the address behind the `?`. */
  search: string;
}

const listeners = new Set<() => void>();
const NONE: SavedView[] = [];
const MOST = 50;

/** What is kept is foreign by the time it is read: it may have been edited, or be of a later version. */
export function parseViews(text: string | null): SavedView[] {
  try {
    const read: unknown = JSON.parse(text ?? '[]');
    if (!Array.isArray(read)) return NONE;
    return read.filter(isView).slice(0, MOST);
  } catch {
    return NONE;
  }
}

/** One of the same name takes the place of the other. */
export function withView(views: SavedView[], view: SavedView): SavedView[] {
  const others = views.filter((it) => it.name !== view.name);
  return [...others, view].toSorted((a, b) => a.name.localeCompare(b.name)).slice(0, MOST);
}

export function useViews(workspace: string, list: string) {
  const key = `ostiary-views-${workspace}-${list}`;
  const text = useSyncExternalStore(subscribe, () => read(key));
  const views = parseViews(text);
  const write = (next: SavedView[]) => {
    try {
      localStorage.setItem(key, JSON.stringify(next));
    } catch {
      // Storage may be forbidden; then the view does not last.
    }
    for (const listener of listeners) listener();
  };
  return {
    views,
    keep: (view: SavedView) => write(withView(views, view)),
    forget: (name: string) => write(views.filter((it) => it.name !== name)),
  };
}

function isView(value: unknown): value is SavedView {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as SavedView).name === 'string' &&
    typeof (value as SavedView).search === 'string' &&
    /^(?:\?|$)/.test((value as SavedView).search)
  );
}

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  globalThis.addEventListener('storage', listener);
  return () => {
    listeners.delete(listener);
    globalThis.removeEventListener('storage', listener);
  };
}
