/**
 * What will be done in a moment, and can be taken back until then.
 *
 * Nothing has been sent while it stands here, so that taking it back leaves no trace anywhere. Whoever
 * leaves the page leaves what has not been done undone.
 */
import { Button } from '@mantine/core';
import { useSyncExternalStore } from 'react';

import classes from './undo.module.css';

export const UNDO_MS = 5_000;

interface Planned {
  id: string;
  /** As a clause: “`search` of jira is approved”. */
  what: string;
  timer: ReturnType<typeof setTimeout>;
}

let planned: readonly Planned[] = [];
const listeners = new Set<() => void>();

/** Does it later. A second plan for the same id takes the place of the first one. */
export function later(id: string, what: string, act: () => void) {
  takeBack(id);
  const timer = setTimeout(() => {
    forget(id);
    act();
  }, UNDO_MS);
  tell([...planned, { id, what, timer }]);
}

export function takeBack(id: string) {
  const found = planned.find((it) => it.id === id);
  if (!found) return;
  clearTimeout(found.timer);
  forget(id);
}

/** When somebody else signs in, nothing of what was planned is theirs. */
export function takeAllBack() {
  for (const it of planned) clearTimeout(it.timer);
  tell([]);
}

export function usePlanned(): readonly Planned[] {
  return useSyncExternalStore(subscribe, () => planned);
}

export function Undo() {
  const all = usePlanned();
  return (
    <div className={classes.box} role="status" aria-label="In a moment">
      {all.map(({ id, what }, at) => (
        <div key={id} className={classes.one}>
          <span>{what} in a moment</span>
          <Button
            size="compact-xs"
            variant="default"
            // `z` takes back what was decided last.
            {...(at === all.length - 1 ? { 'data-undo': true } : {})}
            aria-label={`Undo: ${what}`}
            onClick={() => takeBack(id)}
          >
            Undo
          </Button>
        </div>
      ))}
    </div>
  );
}

function forget(id: string) {
  tell(planned.filter((it) => it.id !== id));
}

function tell(next: readonly Planned[]) {
  planned = next;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
