import { Button, NativeSelect, TextInput } from '@mantine/core';

import {
  freshTest,
  HINTS,
  isHint,
  type Rows,
  type Subject,
  type Test,
  TEXTS,
  type Way,
  WAYS,
} from './conditions';
import classes from './expose-dialog.module.css';

interface Props {
  rows: Rows;
  onChange: (rows: Rows) => void;
}

/** Tests of which all must hold, or one. */
export function ConditionRows({ rows, onChange }: Props) {
  const { join, tests } = rows;
  const change = (key: number, patch: Partial<Test>) =>
    onChange({ join, tests: tests.map((it) => (it.key === key ? { ...it, ...patch } : it)) });
  const add = () => {
    const key = 1 + Math.max(-1, ...tests.map((it) => it.key));
    onChange({ join, tests: [...tests, freshTest(key)] });
  };
  return (
    <fieldset className={classes.form}>
      <NativeSelect
        label="Exposed is what meets"
        data={JOINS}
        value={join}
        onChange={(event) =>
          onChange({ join: event.currentTarget.value === 'any' ? 'any' : 'all', tests })
        }
      />
      <ol className={classes.rows}>
        {tests.map((test, index) => (
          <li key={test.key} className={classes.row}>
            <NativeSelect
              label={`Test ${index + 1}`}
              data={SUBJECTS}
              value={test.subject}
              onChange={(event) =>
                change(test.key, { subject: event.currentTarget.value as Subject })
              }
            />
            <Tested test={test} number={index + 1} onChange={(patch) => change(test.key, patch)} />
            <Button
              variant="default"
              aria-label={`Remove test ${index + 1}`}
              onClick={() => onChange({ join, tests: tests.filter((it) => it !== test) })}
            >
              Remove
            </Button>
          </li>
        ))}
      </ol>
      {tests.length === 0 && (
        <p>{join === 'all' ? 'Without a test, everything.' : 'Without a test, nothing.'}</p>
      )}
      <div>
        <Button variant="default" size="xs" onClick={add}>
          Add a test
        </Button>
      </div>
    </fieldset>
  );
}

interface TestedProps {
  test: Test;
  number: number;
  onChange: (patch: Partial<Test>) => void;
}

function Tested({ test, number, onChange }: TestedProps) {
  if (isHint(test.subject)) {
    return (
      <NativeSelect
        className={classes.hint}
        aria-label={`What test ${number} wants`}
        data={['true', 'false']}
        value={test.says}
        onChange={(event) =>
          onChange({ says: event.currentTarget.value === 'true' ? 'true' : 'false' })
        }
      />
    );
  }
  return (
    <>
      <NativeSelect
        aria-label={`How test ${number} looks`}
        data={WAYS.map((value) => ({ value, label: WAY_WORDS[value] }))}
        value={test.way}
        onChange={(event) => onChange({ way: event.currentTarget.value as Way })}
      />
      <TextInput
        aria-label={`What test ${number} looks for`}
        value={test.text}
        onChange={(event) => onChange({ text: event.currentTarget.value })}
      />
    </>
  );
}

const JOINS = [
  { value: 'all', label: 'all of these tests' },
  { value: 'any', label: 'one of these tests' },
];

const SUBJECTS = [...TEXTS, ...HINTS];

const WAY_WORDS: Record<Way, string> = {
  is: 'is',
  glob: 'is like (* and ?)',
  contains: 'contains',
  matches: 'matches (regular expression)',
};
