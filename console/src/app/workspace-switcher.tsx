import { Popover, TextInput, UnstyledButton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';

import { workspacesQuery } from '@/features/workspaces/queries';
import { CheckIcon, ChevronIcon, SearchIcon, WorkspaceIcon } from '@/ui/icons';
import classes from './workspace-switcher.module.css';

/** Where one is, and the other workspaces, by their names. */
export function WorkspaceSwitcher({ workspace }: { workspace: string }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <Popover
      opened={isOpen}
      onChange={setOpen}
      position="bottom-start"
      width="target"
      trapFocus
      returnFocus
      transitionProps={{ duration: 0 }}
    >
      <Popover.Target>
        <UnstyledButton
          className={classes.workspace}
          aria-label={`Workspace ${workspace}: switch`}
          onClick={() => setOpen(!isOpen)}
        >
          <span className={classes.mark}>
            <WorkspaceIcon size={13} />
          </span>
          <span className={classes.name}>{workspace}</span>
          <ChevronIcon size={14} />
        </UnstyledButton>
      </Popover.Target>
      <Popover.Dropdown p={6} aria-label="Workspaces">
        <Choices workspace={workspace} onChosen={() => setOpen(false)} />
      </Popover.Dropdown>
    </Popover>
  );
}

/** As many as fit; the search finds the others. */
const MOST = 50;

function Choices({ workspace, onChosen }: { workspace: string; onChosen: () => void }) {
  const { data } = useQuery(workspacesQuery);
  const [wanted, setWanted] = useState('');
  const names = data?.items.map((it) => it.name) ?? [workspace];
  const found = names.filter((it) => it.includes(wanted.trim().toLowerCase()));
  return (
    <>
      <TextInput
        type="search"
        aria-label="Search workspaces"
        placeholder="Search workspaces"
        leftSection={<SearchIcon size={14} />}
        value={wanted}
        data-autofocus
        onChange={(event) => setWanted(event.currentTarget.value)}
      />
      <ul className={classes.list}>
        {found.slice(0, MOST).map((name) => (
          <li key={name}>
            <Link
              to="/workspaces/$workspace"
              params={{ workspace: name }}
              className={classes.choice}
              aria-current={name === workspace ? 'true' : undefined}
              onClick={onChosen}
            >
              <span className={classes.name}>{name}</span>
              {name === workspace && <CheckIcon size={14} />}
            </Link>
          </li>
        ))}
      </ul>
      {found.length === 0 && <p className={classes.none}>No workspace is called that.</p>}
      {(found.length > MOST || data?.isCut) && (
        <p className={classes.none}>There are more: search for them.</p>
      )}
    </>
  );
}
