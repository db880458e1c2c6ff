/** The arguments of a call: a field for each that is simple, and all of them as JSON, which is what is sent. */
import { NativeSelect, Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';

import { Visible } from '@/ui/visible';
import { type Field, fieldsOf, parse, valueOf, withArgument } from './fields';
import classes from './playground-page.module.css';

interface Props {
  /** What the tool’s server says of its arguments. */
  schema: unknown;
  text: string;
  onText: (text: string) => void;
}

export function ArgumentForm({ schema, text, onText }: Props) {
  const { fields, rest } = fieldsOf(schema);
  const read = parse(text);
  const args = 'args' in read ? read.args : null;
  return (
    <div className={classes.both}>
      {fields.length > 0 && (
        <div className={classes.fields} role="group" aria-label="Arguments">
          {fields.map((it) => (
            <Argument
              key={it.name}
              field={it}
              value={args?.[it.name]}
              isOff={args === null}
              onValue={(value) => onText(withArgument(args ?? {}, it.name, value))}
            />
          ))}
        </div>
      )}
      <Textarea
        label="Arguments as JSON"
        description={
          rest.length > 0 ? (
            <>
              Here only: <Visible text={rest.join(', ')} />
            </>
          ) : (
            'This is what is sent'
          )
        }
        value={text}
        onChange={(event) => onText(event.currentTarget.value)}
        error={'wrong' in read ? read.wrong : null}
        placeholder="{}"
        autosize
        minRows={4}
        maxRows={20}
        spellCheck={false}
        classNames={{ input: classes.json ?? '' }}
      />
    </div>
  );
}

interface ArgumentProps {
  field: Field;
  value: unknown;
  /** What is written as JSON is none, so nothing can be put into it. */
  isOff: boolean;
  onValue: (value: unknown) => void;
}

function Argument({ field, value, isOff, onValue }: ArgumentProps) {
  const { name, kind, description, choices, isRequired } = field;
  // While it is typed, so that `1.` is not turned into `1`.
  const [typed, setTyped] = useState<string | null>(null);
  const shown = typed ?? wordOf(value);
  const said = {
    label: <Visible text={name} />,
    description: description && <Visible text={description} />,
    withAsterisk: isRequired,
    disabled: isOff,
    value: shown,
  };
  if (kind === 'flag' || kind === 'choice') {
    return (
      <NativeSelect
        {...said}
        data={['', ...(kind === 'flag' ? ['true', 'false'] : choices)]}
        onChange={(event) => onValue(valueOf(kind, event.currentTarget.value))}
      />
    );
  }
  return (
    <TextInput
      {...said}
      error={kind !== 'text' && typeof value === 'string' ? NO_NUMBER : null}
      inputMode={kind === 'text' ? 'text' : 'decimal'}
      autoComplete="off"
      onChange={(event) => {
        setTyped(event.currentTarget.value);
        onValue(valueOf(kind, event.currentTarget.value));
      }}
      onBlur={() => setTyped(null)}
    />
  );
}

const NO_NUMBER = 'This is no number that can be sent exactly, so it is sent as a text';

function wordOf(value: unknown): string {
  if (value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
