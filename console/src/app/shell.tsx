/** The frame around every page of a workspace: where one is, and where one can go. */
import { ActionIcon, Modal } from '@mantine/core';
import { Outlet, useParams, useRouterState } from '@tanstack/react-router';
import { useCallback, useEffect, useRef, useState } from 'react';

import { useLive } from '@/features/live/use-live';
import { Mark, MenuIcon } from '@/ui/icons';
import { Toasts } from '@/ui/toast';
import { takeAllBack, Undo } from '@/ui/undo';
import { ShortcutsDialog, useShortcuts } from './keyboard';
import { Navigation } from './navigation';
import { Palette } from './palette';
import { usePlaces } from './rights';
import classes from './shell.module.css';

export function Shell() {
  const { workspace } = useParams({ from: '/app/workspaces/$workspace' });
  const [isHelping, setHelping] = useState(false);
  const [isFinding, setFinding] = useState(false);
  const [openedAt, setOpenedAt] = useState<string | null>(null);
  const path = useRouterState({ select: (state) => state.location.pathname });
  const main = useRef<HTMLElement>(null);
  const help = useCallback(() => setHelping(true), []);
  const find = useCallback(() => setFinding(true), []);
  // Whoever signs out takes back what has not been sent.
  useEffect(() => takeAllBack, []);
  // The page that is needed when everything else is broken is there before it breaks.
  useEffect(() => {
    import('@/features/cutoffs/cutoffs-page').catch(() => undefined);
  }, []);
  const places = usePlaces(workspace);
  useLive(workspace);
  useShortcuts(workspace, places, { onHelp: help, onPalette: find });
  const navigation = (
    <Navigation workspace={workspace} places={places} onHelp={help} onPalette={find} />
  );
  return (
    <div className={classes.shell}>
      <a
        href="#main"
        className={classes.skip}
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to content
      </a>
      <section className={classes.bar} aria-label="Navigation bar">
        <ActionIcon
          variant="subtle"
          color="gray"
          size="lg"
          aria-label="Open navigation"
          onClick={() => setOpenedAt(path)}
        >
          <MenuIcon />
        </ActionIcon>
        <Mark size={20} />
        <strong>{workspace}</strong>
      </section>
      <section className={classes.side} aria-label="Navigation and settings">
        {navigation}
      </section>
      {/* Closes by itself when one has gone somewhere. */}
      <Modal
        opened={openedAt === path}
        onClose={() => setOpenedAt(null)}
        fullScreen
        title="Navigation"
        closeButtonProps={{ 'aria-label': 'Close navigation' }}
        transitionProps={{ duration: 0 }}
      >
        {navigation}
      </Modal>
      <main id="main" ref={main} tabIndex={-1} className={classes.main}>
        <Outlet />
      </main>
      <ShortcutsDialog places={places} opened={isHelping} onClose={() => setHelping(false)} />
      <Palette
        workspace={workspace}
        places={places}
        opened={isFinding}
        onClose={() => setFinding(false)}
        onHelp={help}
      />
      <Undo />
      <Toasts />
    </div>
  );
}
