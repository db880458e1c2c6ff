/** A form made of fields, then what it would change, then the change. */
import { Button, Group, Modal } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useState } from 'react';

import { type Change, useChange } from '@/features/changes/use-change';
import { Field, type InputProps } from './field';
import classes from './form-dialog.module.css';

export interface FieldSpec {
  name: string;
  label: string;
  description?: string;
  placeholder?: string;
  /** `lines` holds one value in a line, `checks` those that are ticked. */
  type?: 'checks' | 'choice' | 'lines' | 'long' | 'secret' | 'text';
  options?: readonly string[];
  isNeeded?: boolean;
  /** What is wrong with what is typed. */
  check?: (text: string) => string | null;
}

/** As typed; `checks` and `lines` with line breaks between their values. */
export type Values = Record<string, string>;

export interface FormSpec {
  title: string;
  fields: FieldSpec[];
  initial?: Values;
  plan: (values: Values) => Change;
  onDone?: (answer: unknown) => Promise<void> | void;
}

export function useFormDialog(workspace: string) {
  const [spec, setSpec] = useState<FormSpec | null>(null);
  const { ask, dialog: changing, isAsking } = useChange(workspace);
  const close = () => setSpec(null);
  const dialog = (
    <>
      <Modal
        // One dialog at a time: what has been typed is there again when one comes back.
        opened={spec !== null && !isAsking}
        onClose={close}
        title={spec?.title}
        closeButtonProps={{ 'aria-label': 'Cancel' }}
        transitionProps={{ duration: 0 }}
      >
        {spec && (
          <Fields
            spec={spec}
            onClose={close}
            onNext={(values) => {
              setSpec({ ...spec, initial: values });
              ask(spec.plan(values), (answer) => {
                close();
                return spec.onDone?.(answer);
              });
            }}
          />
        )}
      </Modal>
      {changing}
    </>
  );
  return { open: setSpec, ask, dialog };
}

interface FieldsProps {
  spec: FormSpec;
  onClose: () => void;
  onNext: (values: Values) => void;
}

function Fields({ spec, onClose, onNext }: FieldsProps) {
  const form = useForm<Values>({
    initialValues: Object.fromEntries(
      spec.fields.map((it) => [it.name, spec.initial?.[it.name] ?? firstOf(it)]),
    ),
    validate: Object.fromEntries(spec.fields.map((it) => [it.name, wrongOf(it)])),
  });
  return (
    <form className={classes.form} onSubmit={form.onSubmit(onNext)} noValidate>
      {spec.fields.map((it, at) => (
        <Field
          key={it.name}
          spec={it}
          isFirst={at === 0}
          {...(form.getInputProps(it.name) as InputProps)}
        />
      ))}
      <Group justify="flex-end" gap={8}>
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button type="submit">Next: see the change</Button>
      </Group>
    </form>
  );
}

function firstOf({ type, options }: FieldSpec): string {
  return type === 'choice' ? (options?.[0] ?? '') : '';
}

function wrongOf({ isNeeded, check }: FieldSpec) {
  return (text: string) => {
    if (isNeeded && text.trim() === '') return 'This is needed';
    return text.trim() === '' ? null : (check?.(text.trim()) ?? null);
  };
}

export function linesOf(text: string | undefined): string[] {
  return (text ?? '')
    .split('\n')
    .map((it) => it.trim())
    .filter(Boolean);
}

/** As the API has it. */
export function checkName(text: string): string | null {
  const isName = /^[a-z](?:-?[a-z0-9])*$/.test(text) && text.length <= 63;
  return isName ? null : 'Small letters, digits and single dashes, a letter first';
}
