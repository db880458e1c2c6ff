import { Button, Group, Modal, NativeSelect, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';

import { type Concerned, Reach } from '@/features/changes/reach';
import { Code } from '@/ui/code';
import classes from './cutoff-dialog.module.css';
import { asCommand, type Cutoff, cutoffBody, type Target, type Turn } from './queries';

/** As it is typed. */
export interface Order {
  reason: string;
  limit: string;
}

interface Props {
  /** What has been typed before. */
  order?: Order;
  workspace: string;
  target: Target;
  isOn: boolean;
  reach?: string | undefined;
  isPending: boolean;
  onConfirm: (turn: Turn) => void;
  onClose: () => void;
}

/** Asks before a thing is turned off or on. Gives the focus back when it closes. */
export function CutoffDialog({ opened, ...props }: Props & { opened: boolean }) {
  const { target, isOn, onClose } = props;
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title={`${isOn ? 'Turn off' : 'Turn on'} ${target.kind} ${target.name}?`}
      closeButtonProps={{ 'aria-label': 'Cancel' }}
      transitionProps={{ duration: 0 }}
    >
      <Question {...props} />
    </Modal>
  );
}

/** Says what will happen, and the command and the request that do the same, before it is done. */
function Question({ order, workspace, target, isOn, reach, isPending, onConfirm, onClose }: Props) {
  const form = useForm({
    initialValues: order ?? { reason: '', limit: '' },
    validate: {
      reason: (reason) =>
        reason.length > REASON_CHARS ? `At most ${REASON_CHARS} characters` : null,
    },
  });
  const turn: Turn = isOn ? toCutoff(form.values) : null;
  return (
    <form className={classes.form} onSubmit={form.onSubmit(() => onConfirm(turn))}>
      <p>{isOn ? STOPS[target.kind] : 'Calls through it are allowed again, as configured.'}</p>
      {isOn && reach && <p className={classes.reach}>{reach}</p>}
      {isOn && isCounted(target) && <Reach workspace={workspace} of={target} />}
      {isOn && (
        <>
          <TextInput
            label="Reason"
            description="Shown to whoever is stopped by it"
            data-autofocus
            {...form.getInputProps('reason')}
          />
          <NativeSelect label="For" data={LIMITS} {...form.getInputProps('limit')} />
        </>
      )}
      <details className={classes.same}>
        <summary>The same as a command or a request</summary>
        <div className={classes.both}>
          <Code text={asCommand(target, turn)} what="command" />
          <Code text={asRequest(target, turn)} what="request" />
        </div>
      </details>
      <Group justify="flex-end" gap={8}>
        <Button variant="default" onClick={onClose} disabled={isPending}>
          Cancel
        </Button>
        <Button type="submit" color={isOn ? 'red' : 'indigo'} loading={isPending}>
          {isOn ? 'Turn off' : 'Turn on'} {target.name}
        </Button>
      </Group>
    </form>
  );
}

/** Of what stands below a thing it is not known here who uses it. */
function isCounted(target: Target): target is Concerned {
  return !['assignment', 'connection', 'tool'].includes(target.kind);
}

/** As the API limits it. */
export const REASON_CHARS = 500;

export const LIMITS = [
  { value: '', label: 'Until it is turned on again' },
  { value: '900', label: '15 minutes' },
  { value: '3600', label: '1 hour' },
  { value: '28800', label: '8 hours' },
  { value: '86400', label: '24 hours' },
];

const STOPS: Partial<Record<Target['kind'], string>> = {
  gateway:
    'All its calls and streams end now, for everyone, and new ones are refused. Nothing is deleted.',
  server:
    'All calls and streams to it end now, on every gateway, and new ones are refused. Nothing is deleted.',
};

export function toCutoff({ reason, limit }: Order): Cutoff {
  return { reason: reason.trim(), ...(limit === '' ? {} : { seconds: Number(limit) }) };
}

function asRequest(target: Target, turn: Turn): string {
  const [path, body] =
    turn === null ? ['restores', target] : (['cutoffs', cutoffBody(target, turn)] as const);
  return `POST /api/v1/workspaces/…/${path}\n${JSON.stringify(body)}`;
}
