/** One field of a form, by what it holds. */
import { NativeSelect, PasswordInput, Textarea, TextInput } from '@mantine/core';

import type { FieldSpec } from './form-dialog';
import classes from './form-dialog.module.css';

export interface InputProps {
  value: string;
  error?: string;
  onChange: (value: unknown) => void;
}

export function Field({
  spec,
  isFirst,
  ...input
}: InputProps & { spec: FieldSpec; isFirst: boolean }) {
  const { label, description, placeholder, type = 'text', options = [], isNeeded } = spec;
  const said = {
    label,
    ...(description === undefined ? {} : { description }),
    ...(placeholder === undefined ? {} : { placeholder }),
    ...(isFirst ? { 'data-autofocus': true } : {}),
    ...(isNeeded ? { 'aria-required': true } : {}),
    ...input,
  };
  switch (type) {
    case 'choice':
      return <NativeSelect {...said} data={options.map(choiceOf)} />;
    case 'checks':
      return <Checks label={label} options={options} {...input} />;
    case 'lines':
      return <Textarea {...said} autosize minRows={2} maxRows={10} spellCheck={false} />;
    case 'long':
      return <Textarea {...said} autosize minRows={2} maxRows={6} />;
    case 'secret':
      return (
        <PasswordInput
          {...said}
          size="xs"
          autoComplete="off"
          visibilityToggleButtonProps={{ 'aria-label': `Show or hide ${label}` }}
        />
      );
    case 'text':
      return <TextInput {...said} autoComplete="off" />;
  }
}

interface CheckProps extends InputProps {
  label: string;
  options: readonly string[];
}

function Checks({ label, options, value, error, onChange }: CheckProps) {
  const chosen = new Set(value.split('\n').filter(Boolean));
  const toggle = (option: string) => {
    if (!chosen.delete(option)) chosen.add(option);
    onChange([...chosen].toSorted().join('\n'));
  };
  return (
    <fieldset className={classes.checks}>
      <legend>{label}</legend>
      {options.map((it) => (
        <label key={it} className={classes.check}>
          <input type="checkbox" checked={chosen.has(it)} onChange={() => toggle(it)} />
          {it}
        </label>
      ))}
      {error && <p className={classes.error}>{error}</p>}
    </fieldset>
  );
}

function choiceOf(value: string) {
  return { value, label: value === '' ? 'none' : value };
}
