/** Dialogs that make a limit and delete one. */
import { Button, Group, Modal, NativeSelect, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import type { ReactNode } from 'react';

import { Trouble } from '@/ui/trouble';
import classes from './limit-dialogs.module.css';
import {
  checkAmount,
  checkName,
  FRESH,
  KINDS,
  limitOf,
  PERIODS,
  type Typed,
  UNITS,
  WINDOWS,
} from './new-limit';
import { useDeleteLimit, useNewLimit } from './queries';

interface NewProps {
  workspace: string;
  onMade: (name: string) => void;
  onClose: () => void;
}

export function NewLimitDialog(props: NewProps) {
  return (
    <Modal
      opened
      onClose={props.onClose}
      title="New limit"
      closeButtonProps={{ 'aria-label': 'Cancel' }}
      transitionProps={{ duration: 0 }}
    >
      <NewLimitForm {...props} />
    </Modal>
  );
}

function NewLimitForm({ workspace, onMade, onClose }: NewProps) {
  const make = useNewLimit(workspace);
  const form = useForm<Typed>({
    initialValues: FRESH,
    validate: {
      name: checkName,
      amount: checkAmount,
      burst: (text, { type }) => (type === 'quota' || text === '' ? null : checkAmount(text)),
      tool: (text, { kind, one }) =>
        kind === 'tool' && (text.trim() === '') !== (one.trim() === '')
          ? 'Name the server and the tool, or neither'
          : null,
    },
  });
  const { kind, unit, type } = form.values;
  const of = kind === 'tool' ? 'server' : kind;
  const submit = (typed: Typed) => {
    const limit = limitOf(typed);
    make.mutate(limit, { onSuccess: () => onMade(limit.name) });
  };
  return (
    <form className={classes.form} onSubmit={form.onSubmit(submit)}>
      <TextInput label="Name" data-autofocus {...form.getInputProps('name')} />
      <Pair>
        <NativeSelect label="Counted together" data={KINDS} {...form.getInputProps('kind')} />
        {kind !== 'workspace' && (
          <TextInput
            label={`Only this ${of}`}
            placeholder={`each ${kind} by itself`}
            {...form.getInputProps('one')}
          />
        )}
      </Pair>
      {kind === 'tool' && <TextInput label="Only this tool" {...form.getInputProps('tool')} />}
      <Pair>
        <NativeSelect label="Unit" data={UNITS} {...form.getInputProps('unit')} />
        {unit !== 'calls' && (
          <NativeSelect label="Of" data={DIRECTIONS} {...form.getInputProps('direction')} />
        )}
      </Pair>
      <Pair>
        <NativeSelect label="Kind" data={TYPES} {...form.getInputProps('type')} />
        <TextInput label="Amount" {...form.getInputProps('amount')} />
      </Pair>
      <Pair>
        {type === 'rate' ? (
          <>
            <NativeSelect label="Per" data={PERIODS} {...form.getInputProps('ratePer')} />
            <TextInput
              label="At once"
              placeholder="as much as the amount"
              {...form.getInputProps('burst')}
            />
          </>
        ) : (
          <NativeSelect label="Per" data={WINDOWS} {...form.getInputProps('quotaPer')} />
        )}
      </Pair>
      <TextInput
        label="Only on this gateway"
        placeholder="all gateways"
        {...form.getInputProps('gateway')}
      />
      {make.error && <Trouble what="The limit was not made" error={make.error} />}
      <Group justify="flex-end" gap={8}>
        <Button variant="default" onClick={onClose} disabled={make.isPending}>
          Cancel
        </Button>
        <Button type="submit" loading={make.isPending}>
          Make the limit
        </Button>
      </Group>
    </form>
  );
}

interface DeleteProps {
  workspace: string;
  limit: string;
  onDeleted: () => void;
  onClose: () => void;
}

export function DeleteLimitDialog({ workspace, limit, onDeleted, onClose }: DeleteProps) {
  const remove = useDeleteLimit(workspace, limit);
  return (
    <Modal
      opened
      onClose={onClose}
      title={`Delete limit ${limit}?`}
      closeButtonProps={{ 'aria-label': 'Cancel' }}
      transitionProps={{ duration: 0 }}
    >
      <div className={classes.form}>
        <p>Nothing is counted for it any more, and what has been used of it is forgotten.</p>
        {remove.error && <Trouble what="The limit was not deleted" error={remove.error} />}
        <Group justify="flex-end" gap={8}>
          <Button variant="default" onClick={onClose} disabled={remove.isPending} data-autofocus>
            Cancel
          </Button>
          <Button
            color="red"
            loading={remove.isPending}
            onClick={() => remove.mutate(undefined, { onSuccess: onDeleted })}
          >
            Delete {limit}
          </Button>
        </Group>
      </div>
    </Modal>
  );
}

function Pair({ children }: { children: ReactNode }) {
  return <div className={classes.pair}>{children}</div>;
}

const DIRECTIONS = [
  { value: 'both', label: 'requests and responses' },
  { value: 'request', label: 'requests' },
  { value: 'response', label: 'responses' },
];

const TYPES = [
  { value: 'rate', label: 'so many in a time' },
  { value: 'quota', label: 'so many in a calendar day or month' },
];
