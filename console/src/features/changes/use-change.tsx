/**
 * The one way in which this console changes things: what will be different, the command and the
 * request that do the same, and then the change itself, for what was seen and nothing else.
 */
import { Modal } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';

import { ChangeDialog } from './change-dialog';
import type { Call } from './call';
import type { Members } from './difference';
import type { Concerned } from './reach';

export interface Change {
  title: string;
  /** On the button: what it does. */
  verb: string;
  call: Call;
  command: string;
  /** The thing as the person has seen it; `null` where one is made. */
  before: Members | null;
  /** Where it is asked for, to find out whether it is still as it was seen. */
  of?: string;
  /** What it would be, where that is not the body laid over what is. */
  after?: Members | null;
  /** Takes something away: says from how many. */
  reach?: Concerned | undefined;
  /** Must be typed before it is done. */
  nameToType?: string;
  note?: ReactNode;
}

/** What follows a change. What is shown is fetched anew after it, where it has gone elsewhere. */
type Done = (answer: unknown) => Promise<void> | void;

interface Asked {
  change: Change;
  onDone: Done | undefined;
}

export function useChange(workspace: string) {
  const queries = useQueryClient();
  const [asked, setAsked] = useState<Asked | null>(null);
  const close = () => setAsked(null);
  const done = (answer: unknown) => {
    close();
    void Promise.resolve(asked?.onDone?.(answer)).then(() =>
      queries.invalidateQueries({ queryKey: ['workspace', workspace] }),
    );
  };
  const dialog = (
    <Modal
      opened={asked !== null}
      onClose={close}
      title={asked?.change.title}
      size="lg"
      closeButtonProps={{ 'aria-label': 'Cancel' }}
      transitionProps={{ duration: 0 }}
    >
      {asked && (
        <ChangeDialog workspace={workspace} change={asked.change} onCancel={close} onDone={done} />
      )}
    </Modal>
  );
  const ask = (change: Change, onDone?: Done) => setAsked({ change, onDone });
  return { ask, dialog, isAsking: asked !== null };
}
