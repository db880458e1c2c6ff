/** The dialog that makes a limit. */
import { Button, Group, Modal, NativeSelect, TextInput } from '@mantine/core';
import { useForm, type UseFormReturnType } from '@mantine/form';
import type { ReactNode } from 'react';

import { useChange } from '@/features/changes/use-change';
import classes from './new-limit-dialog.module.css';
import {
  checkAmount,
  checkName,
  FRESH,
  KINDS,
  PERIODS,
  type Typed,
  UNITS,
  WINDOWS,
} from './new-limit';
import { making } from './plans';

interface NewProps {
  workspace: string;
  onMade: (name: string) => void;
  onClose: () => void;
}

export function NewLimitDialog({ workspace, onMade, onClose }: NewProps) {
  const { ask, dialog, isAsking } = useChange(workspace);
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
  return (
    <>
      <Modal
        // What has been typed is there again when one comes back.
        opened={!isAsking}
        onClose={onClose}
        title="New limit"
        closeButtonProps={{ 'aria-label': 'Cancel' }}
        transitionProps={{ duration: 0 }}
      >
        <NewLimitForm
          form={form}
          onClose={onClose}
          onNext={(typed) => {
            const change = making(workspace, typed);
            ask(change, () => onMade(typed.name.trim()));
          }}
        />
      </Modal>
      {dialog}
    </>
  );
}

interface FormProps {
  form: UseFormReturnType<Typed>;
  onNext: (typed: Typed) => void;
  onClose: () => void;
}

function NewLimitForm({ form, onNext, onClose }: FormProps) {
  const { kind, unit, type } = form.values;
  const of = kind === 'tool' ? 'server' : kind;
  return (
    <form className={classes.form} onSubmit={form.onSubmit(onNext)}>
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
      <Group justify="flex-end" gap={8}>
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button type="submit">Next: see the change</Button>
      </Group>
    </form>
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
