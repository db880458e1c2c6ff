/**
 * Keyboard shortcuts: `g` and a letter goes to a room, and single keys work on the list or the thing
 * in sight. None works while typing, and all but Ctrl-K can be switched off (WCAG 2.1.4).
 */
import { Kbd, Modal, Switch } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { useEffect } from 'react';

import classes from './keyboard.module.css';
import type { Place } from './places';
import { usePreference, writePreference } from './preferences';

/** How long `g` waits for its letter. */
const CHORD_MS = 1_200;

interface Doers {
  onHelp: () => void;
  onPalette: () => void;
}

export function useShortcuts(workspace: string, places: Place[], { onHelp, onPalette }: Doers) {
  const navigate = useNavigate();
  const isOn = usePreference('shortcuts') === 'on';
  useEffect(() => {
    let began = Number.NEGATIVE_INFINITY;
    const go = (to: Place['to']) => void navigate({ to, params: { workspace } });
    const onKey = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey) && !event.altKey) {
        event.preventDefault();
        if (!document.querySelector('[role="dialog"]')) onPalette();
        return;
      }
      if (!isOn || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (isTyping(event.target) || document.querySelector('[role="dialog"]')) return;
      const isChord = event.timeStamp - began < CHORD_MS;
      const place = isChord ? places.find((it) => it.key === event.key) : undefined;
      began = Number.NEGATIVE_INFINITY;
      if (place) {
        event.preventDefault();
        go(place.to);
      } else if (event.key === 'g') {
        began = event.timeStamp;
      } else if (event.key === '!') {
        event.preventDefault();
        go('/workspaces/$workspace/cutoffs');
      } else if (event.key === '?') {
        onHelp();
      } else if (SINGLE[event.key]?.()) {
        event.preventDefault();
      }
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [isOn, navigate, workspace, places, onHelp, onPalette]);
}

/** Single keys, and what they do; false where there is nothing to do it to. */
const SINGLE: Partial<Record<string, () => boolean>> = {
  '/': () => focus('[data-search]'),
  j: () => walk(1),
  k: () => walk(-1),
  x: () => press(rowInFocus()?.querySelector('[data-pick]')),
  e: () => press(document.querySelector('[data-edit]')),
  '.': () =>
    press(rowInFocus()?.querySelector('[data-menu]') ?? document.querySelector('[data-actions]')),
  // Only where a definition is shown: nobody decides about what they have not seen.
  a: () => press(document.querySelector('[data-approve]:not(:disabled)')),
  d: () => press(document.querySelector('[data-deny]:not(:disabled)')),
  z: () => press(document.querySelector('[data-undo]')),
  '[': () => step(-1),
  ']': () => step(1),
};

interface DialogProps {
  places: Place[];
  opened: boolean;
  onClose: () => void;
}

export function ShortcutsDialog({ places, opened, onClose }: DialogProps) {
  const isOn = usePreference('shortcuts') === 'on';
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title="Keyboard shortcuts"
      size="lg"
      closeButtonProps={{ 'aria-label': 'Close' }}
      transitionProps={{ duration: 0 }}
    >
      <div className={classes.both} data-on={isOn || undefined}>
        <dl className={classes.keys} aria-label="Places">
          {places.map((it) => (
            <Row key={it.key} keys={['g', it.key]} does={it.name} />
          ))}
        </dl>
        <dl className={classes.keys} aria-label="Here">
          {HELP.map(([key, does]) => (
            <Row key={key} keys={[key]} does={does} />
          ))}
        </dl>
      </div>
      <Switch
        label="Shortcuts with single keys"
        description="Switch them off if they get in the way of speech input or other tools."
        checked={isOn}
        onChange={(event) =>
          writePreference('shortcuts', event.currentTarget.checked ? 'on' : 'off')
        }
      />
    </Modal>
  );
}

const HELP: [string, string][] = [
  ['Ctrl K', 'Find anything'],
  ['!', 'Turn something off'],
  ['/', 'Search this list'],
  ['j', 'Next row'],
  ['k', 'Previous row'],
  ['Enter', 'Open the row'],
  ['x', 'Select the row'],
  ['.', 'What can be done'],
  ['e', 'Edit'],
  ['a', 'Approve what is shown'],
  ['d', 'Deny what is shown'],
  ['z', 'Take the last decision back'],
  ['[', 'Previous tab'],
  [']', 'Next tab'],
  ['Esc', 'Close what is open'],
  ['?', 'This list'],
];

function Row({ keys, does }: { keys: string[]; does: string }) {
  return (
    <div className={classes.row}>
      <dt>
        {keys.map((key) => (
          <Kbd key={key} size="xs">
            {key}
          </Kbd>
        ))}
      </dt>
      <dd>{does}</dd>
    </div>
  );
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || target.matches('input:not([type="checkbox"]), textarea, select'))
  );
}

function focus(selector: string): boolean {
  const found = document.querySelector<HTMLElement>(selector);
  found?.focus();
  return found !== null;
}

function press(element: Element | null | undefined): boolean {
  if (!(element instanceof HTMLElement)) return false;
  element.click();
  return true;
}

function rowInFocus(): Element | null {
  return document.activeElement?.closest('tr, [data-line]') ?? null;
}

/** Moves the focus along the rows of the list in sight. */
function walk(step: 1 | -1): boolean {
  const rows = [...document.querySelectorAll<HTMLElement>('[data-row]')];
  const place = rows.findIndex((row) => row === document.activeElement);
  const next = place < 0 ? (step > 0 ? 0 : rows.length - 1) : place + step;
  rows[next]?.focus();
  return rows.length > 0;
}

/** Goes to the tab beside the one that is open. */
function step(by: 1 | -1): boolean {
  const tabs = [...document.querySelectorAll<HTMLElement>('[data-tab]')];
  const open = tabs.findIndex((tab) => tab.dataset['tab'] === 'open');
  return press(tabs[open + by]);
}
