/**
 * Ctrl-K: rooms, things by their names, and what can be done, from anywhere.
 *
 * A list box under one field (WAI-ARIA combobox). Names are fetched when it opens, page by page.
 */
import { Modal } from '@mantine/core';
import { useQueries } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import { type KeyboardEvent, useId, useMemo, useState } from 'react';

import { addressOf, MANY, namesQuery, NOUNS } from '@/features/objects/nouns';
import { SearchIcon } from '@/ui/icons';
import { type Finding, search } from './findings';
import classes from './palette.module.css';
import type { Place } from './places';

interface Props {
  workspace: string;
  places: Place[];
  opened: boolean;
  onClose: () => void;
  onHelp: () => void;
}

export function Palette({ opened, onClose, ...rest }: Props) {
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      withCloseButton={false}
      centered={false}
      padding={0}
      size={560}
      attributes={{ content: { 'aria-label': 'Find anything' } }}
      transitionProps={{ duration: 0 }}
    >
      <Finder {...rest} onClose={onClose} />
    </Modal>
  );
}

function Finder({ workspace, places, onClose, onHelp }: Omit<Props, 'opened'>) {
  const router = useRouter();
  const id = useId();
  const [wanted, setWanted] = useState('');
  const [at, setAt] = useState(0);
  const all = useFindings(workspace, places);
  const found = useMemo(() => search(all.findings, wanted), [all.findings, wanted]);
  const chosen = found[Math.min(at, found.length - 1)];
  const take = (it: Finding | undefined) => {
    if (!it) return;
    onClose();
    if (it.path === '?') onHelp();
    else router.history.push(it.path);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const by = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (by !== 0 && found.length > 0) {
      event.preventDefault();
      const next = (Math.min(at, found.length - 1) + by + found.length) % found.length;
      setAt(next);
      document
        .querySelector(`#${CSS.escape(`${id}-${next}`)}`)
        ?.scrollIntoView({ block: 'nearest' });
    } else if (event.key === 'Enter') {
      event.preventDefault();
      take(chosen);
    }
  };
  return (
    <div className={classes.box}>
      <div className={classes.field}>
        <SearchIcon />
        <input
          className={classes.input}
          role="combobox"
          aria-expanded
          aria-controls={id}
          aria-activedescendant={chosen ? `${id}-${found.indexOf(chosen)}` : undefined}
          aria-label="Find anything"
          placeholder="A page, a name, or “turn off …”"
          autoComplete="off"
          spellCheck={false}
          data-autofocus
          value={wanted}
          onChange={(event) => {
            setWanted(event.currentTarget.value);
            setAt(0);
          }}
          onKeyDown={onKeyDown}
        />
      </div>
      <div className={classes.list} role="listbox" tabIndex={-1} id={id} aria-label="Found">
        {found.map((it, place) => (
          // The field has the focus and the keys; this is for the mouse.
          // oxlint-disable-next-line jsx-a11y/click-events-have-key-events
          <div
            key={it.path}
            id={`${id}-${place}`}
            role="option"
            tabIndex={-1}
            aria-selected={it === chosen}
            className={classes.option}
            onClick={() => take(it)}
          >
            <span className={classes.name}>{it.name}</span>
            <span className={classes.kind}>{it.kind}</span>
          </div>
        ))}
      </div>
      <p className={classes.state} role="status">
        {found.length === 0
          ? all.isPending
            ? 'Looking…'
            : `Nothing here is called “${wanted}”.`
          : all.note}
      </p>
    </div>
  );
}

function useFindings(workspace: string, places: Place[]) {
  const wanted = MANY.filter((many) => places.some((it) => it.to.endsWith(`/${many}`)));
  const lists = useQueries({ queries: wanted.map((many) => namesQuery(workspace, many)) });
  const isPending = lists.some((it) => it.isPending);
  const isCut = lists.some((it) => it.data?.isCut);
  const isPart = lists.some((it) => it.isError);
  const findings = useMemo(() => {
    const all: Finding[] = places.map((it) => ({
      name: it.name,
      kind: 'page',
      path: it.to.replace('$workspace', workspace),
    }));
    all.push({ name: 'Your account', kind: 'page', path: '/account' });
    all.push({ name: 'Keyboard shortcuts', kind: 'help', path: '?' });
    for (const [at, many] of wanted.entries()) {
      const noun = NOUNS[many];
      for (const name of lists[at]?.data?.names ?? []) {
        all.push({ name, kind: noun.one, path: addressOf(workspace, many, name) });
        if (!noun.canBeOff) continue;
        const query = new URLSearchParams({ kind: noun.object, name });
        const path = `/workspaces/${workspace}/cutoffs?${query}`;
        all.push({ name: `Turn off ${noun.one} ${name}`, kind: 'cut-off', path, isDeed: true });
      }
    }
    return all;
    // Lists are made anew each time; what is in them is not.
    // oxlint-disable-next-line react/exhaustive-deps
  }, [workspace, places, lists.map((it) => it.dataUpdatedAt).join(' ')]);
  const note = isPart
    ? 'Some names could not be fetched.'
    : isCut
      ? 'There are more names than are searched here: search in the list itself.'
      : isPending
        ? 'Names are still coming…'
        : '↑ ↓ to choose, Enter to go, Esc to close';
  return { findings, isPending, note };
}
