/**
 * The switch of a thing, and what came of it.
 *
 * It is never optimistic: the switch moves when the gateway says that the change holds everywhere.
 */
import { Switch } from '@mantine/core';
import { useState } from 'react';

import { Failure } from '@/api/failure';
import { Ago, Exact } from '@/ui/time';
import { showTrouble } from '@/ui/toast';
import { WarningIcon } from '@/ui/icons';
import { Visible } from '@/ui/visible';
import { CutoffDialog } from './cutoff-dialog';
import classes from './cutoff-switch.module.css';
import { Outcome } from './outcome';
import { type Off, type Target, type Turn, useTurn } from './queries';

interface Props {
  workspace: string;
  target: Target;
  isOn: boolean;
  off: Off | null | undefined;
  /** Who loses what, in words: “2 connections”. */
  reach?: string;
}

export function CutoffSwitch({ workspace, target, isOn, off, reach }: Props) {
  const [isAsking, setAsking] = useState(false);
  const turn = useTurn(workspace, target);
  const confirm = (wanted: Turn) =>
    turn.mutate(wanted, {
      onSuccess: () => setAsking(false),
      onError: (error) => {
        setAsking(false);
        const what = `${target.kind} ${target.name} could not be turned ${isOn ? 'off' : 'on'}`;
        showTrouble(capital(what), error);
      },
    });
  return (
    <div className={classes.box} data-off={!isOn || undefined}>
      <div className={classes.line}>
        <Switch
          checked={isOn}
          label={isOn ? 'On' : 'Off'}
          aria-label={`${capital(target.kind)} ${target.name} is ${isOn ? 'on' : 'off'}`}
          onChange={() => setAsking(true)}
        />
        {off && (
          <span className={classes.since}>
            turned off <Ago at={off.since} />
            {off.until && (
              <>
                , until <Exact at={off.until} />
              </>
            )}
          </span>
        )}
      </div>
      {off?.reason && (
        <p className={classes.reason}>
          <Visible text={off.reason} />
        </p>
      )}
      <div aria-live="polite">{turn.data && <Outcome held={turn.data} isOn={isOn} />}</div>
      {turn.error instanceof Failure && turn.error.status === 0 && (
        <p className={classes.doubt}>
          <WarningIcon size={14} /> It is not known whether the change was made.
        </p>
      )}
      <CutoffDialog
        opened={isAsking}
        target={target}
        isOn={isOn}
        workspace={workspace}
        reach={reach}
        isPending={turn.isPending}
        onConfirm={confirm}
        onClose={() => setAsking(false)}
      />
    </div>
  );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
