/**
 * Keyboard shortcuts: `g` and a letter goes somewhere, `/` searches, `j` and `k` walk down and up a
 * list, `?` lists all this. None works while typing, and all can be switched off (WCAG 2.1.4).
 */
import { Kbd, Modal, Switch } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { useEffect } from 'react';

import classes from './keyboard.module.css';
import { usePreference, writePreference } from './preferences';

export const PLACES = [
  { key: 's', name: 'Servers', to: '/workspaces/$workspace/servers' },
  { key: 'g', name: 'Gateways', to: '/workspaces/$workspace/gateways' },
  { key: 'l', name: 'Limits', to: '/workspaces/$workspace/limits' },
  { key: 'a', name: 'Approvals', to: '/workspaces/$workspace/pins' },
  { key: 'r', name: 'Records', to: '/workspaces/$workspace/records' },
] as const;

/** How long `g` waits for its letter. */
const CHORD_MS = 1_200;

export function useShortcuts(workspace: string, onHelp: () => void) {
  const navigate = useNavigate();
  const isOn = usePreference('shortcuts') === 'on';
  useEffect(() => {
    if (!isOn) return;
    let began = Number.NEGATIVE_INFINITY;
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (isTyping(event.target) || document.querySelector('[role="dialog"]')) return;
      const place = PLACES.find((it) => it.key === event.key);
      const isChord = event.timeStamp - began < CHORD_MS;
      began = Number.NEGATIVE_INFINITY;
      if (isChord && place) {
        event.preventDefault();
        void navigate({ to: place.to, params: { workspace } });
      } else if (event.key === 'g') {
        began = event.timeStamp;
      } else if (event.key === '/') {
        event.preventDefault();
        document.querySelector<HTMLElement>('[data-search]')?.focus();
      } else if (event.key === 'j' || event.key === 'k') {
        walk(event.key === 'j' ? 1 : -1);
      } else if (event.key === '?') {
        onHelp();
      }
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [isOn, navigate, workspace, onHelp]);
}

interface DialogProps {
  opened: boolean;
  onClose: () => void;
}

export function ShortcutsDialog({ opened, onClose }: DialogProps) {
  const isOn = usePreference('shortcuts') === 'on';
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title="Keyboard shortcuts"
      closeButtonProps={{ 'aria-label': 'Close' }}
      transitionProps={{ duration: 0 }}
    >
      <dl className={classes.keys} data-on={isOn || undefined}>
        {PLACES.map((it) => (
          <Row key={it.key} keys={['g', it.key]} does={`Go to ${it.name.toLowerCase()}`} />
        ))}
        <Row keys={['/']} does="Search this list" />
        <Row keys={['j']} does="Next row" />
        <Row keys={['k']} does="Previous row" />
        <Row keys={['Esc']} does="Close what is open" />
        <Row keys={['?']} does="This list" />
      </dl>
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

/** Moves the focus along the rows of the list in sight. */
function walk(step: 1 | -1) {
  const rows = [...document.querySelectorAll<HTMLElement>('[data-row]')];
  const place = rows.findIndex((row) => row === document.activeElement);
  const next = place < 0 ? (step > 0 ? 0 : rows.length - 1) : place + step;
  rows[next]?.focus();
}
