/** What came of a call: the answer as a client gets it, and what was decided on the way. */
import { Link } from '@tanstack/react-router';

import { took } from '@/features/records/ends';
import { Chain } from '@/features/why/chain';
import { Code } from '@/ui/code';
import { Section } from '@/ui/page';
import { Pill } from '@/ui/pill';
import { Visible } from '@/ui/visible';
import classes from './playground-page.module.css';
import type { Told } from './queries';

export function Outcome({ workspace, told }: { workspace: string; told: Told }) {
  return (
    <div className={classes.outcome}>
      <Section title="What came of it" note={`in the place of ${told.app}, for ${told.user}`}>
        <p className={classes.because}>
          <Pill tone={told.outcome !== 'answered' ? 'bad' : told.is_error ? 'warn' : 'good'}>
            {told.outcome.replaceAll('_', ' ')}
          </Pill>
          <Visible text={told.because} />
        </p>
        <p className={classes.took}>
          {took(told.took.total)}: gateway {took(told.took.gateway)}, server{' '}
          {took(told.took.upstream)}
          {typeof told.tokens === 'number' && ` · ${told.tokens.toLocaleString('en')} tokens`}
          {' · '}
          <Link
            to="/workspaces/$workspace/records"
            params={{ workspace }}
            search={{ record: told.call }}
          >
            {typeof told.record === 'number' ? `record ${told.record}` : 'its record'}
          </Link>
          , marked as a test
        </p>
        <Answer told={told} />
      </Section>
      <Section title="What was decided on the way">
        <Chain links={told.trace} label="What was decided on the way" />
      </Section>
    </div>
  );
}

function Answer({ told }: { told: Told }) {
  if (told.error) {
    return <Code text={cut(`${told.error.code}: ${told.error.message}`)} what="error" />;
  }
  if (typeof told.result !== 'object' || told.result === null) return null;
  const { content, ...others } = told.result as Record<string, unknown>;
  const items = Array.isArray(content) ? (content as unknown[]) : [];
  const rest = Object.fromEntries(
    Object.entries(others).filter(([name]) => !['resultType', '_meta', 'isError'].includes(name)),
  );
  return (
    <>
      {items.map((it, place) => (
        // oxlint-disable-next-line react/no-array-index-key
        <Code key={place} text={cut(wordOf(it))} what={`part ${place + 1} of the answer`} />
      ))}
      {Object.keys(rest).length > 0 && (
        <Code text={cut(JSON.stringify(rest, null, 2))} what="rest of the answer" />
      )}
    </>
  );
}

/** A text as it is, and everything else as JSON. */
function wordOf(item: unknown): string {
  const { type, text } = (item ?? {}) as { type?: unknown; text?: unknown };
  return type === 'text' && typeof text === 'string' ? text : JSON.stringify(item, null, 2);
}

/** Nobody reads more here, and a page that shows a megabyte stands still. */
const MOST_CHARS = 50_000;

function cut(text: string): string {
  if (text.length <= MOST_CHARS) return text;
  return `${text.slice(0, MOST_CHARS)}\n… [${text.length - MOST_CHARS} characters more]`;
}
