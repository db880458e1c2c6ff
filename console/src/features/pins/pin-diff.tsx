/** A definition side by side with what was approved last, word by word, with what cannot be seen. */
import { Pill, type Tone } from '@/ui/pill';
import { Visible } from '@/ui/visible';
import { type Group, groupOf, GROUPS, type Label, LABEL_WORDS, meaningOf } from './meaning';
import classes from './pin-panel.module.css';
import type { Difference } from './queries';
import { textOf } from './spelled';
import { type Part, wordDiff } from './word-diff';

export function PinDiff({ differences, isNew }: { differences: Difference[]; isNew: boolean }) {
  const groups = GROUPS.map(
    (group) => [group, differences.filter((it) => groupOf(it) === group)] as const,
  ).filter(([, all]) => all.length > 0);
  return (
    <div className={classes.diff}>
      {!isNew && <Summary differences={differences} />}
      {groups.map(([group, all]) => (
        <Grouped key={group} group={group} all={all} isNew={isNew} />
      ))}
    </div>
  );
}

/** Who is concerned by it, before one reads what it is. */
function Summary({ differences }: { differences: Difference[] }) {
  const meanings = differences.map(meaningOf);
  const words = (of: 'caller' | 'model') =>
    [...new Set(meanings.filter((it) => it.of === of).map((it) => LABEL_WORDS[it.label]))]
      .join(', ')
      .toLowerCase() || 'nothing';
  return (
    <dl className={classes.summary}>
      <div>
        <dt>For the model</dt>
        <dd>{words('model')}</dd>
      </div>
      <div>
        <dt>For whoever calls</dt>
        <dd>{words('caller')}</dd>
      </div>
    </dl>
  );
}

interface GroupedProps {
  group: Group;
  all: Difference[];
  isNew: boolean;
}

function Grouped({ group, all, isNew }: GroupedProps) {
  return (
    <section aria-label={group} className={classes.group}>
      <h3 className={classes.groupName}>{group}</h3>
      {all.map((it) => (
        <div key={it.path} className={classes.change}>
          <div className={classes.path}>
            <Visible text={it.path} />
            {!isNew && <Marked label={meaningOf(it).label} />}
          </div>
          <Sides difference={it} isNew={isNew} />
        </div>
      ))}
    </section>
  );
}

const TONES: Record<Label, Tone> = {
  changed: 'calm',
  hints: 'warn',
  narrowed: 'calm',
  text: 'warn',
  widened: 'warn',
};

function Marked({ label }: { label: Label }) {
  return <Pill tone={TONES[label]}>{LABEL_WORDS[label]}</Pill>;
}

function Sides({
  difference: { before, after },
  isNew,
}: {
  difference: Difference;
  isNew: boolean;
}) {
  const [was, is] = [before, after].map((it) => (typeof it === 'string' ? textOf(it) : null));
  if (isNew && typeof is === 'string') {
    return (
      <ins className={classes.after}>
        <Lines parts={[{ text: is, kind: 'same' }]} />
      </ins>
    );
  }
  const parts = wordDiff(was ?? '', is ?? '');
  return (
    <div className={classes.sides}>
      {typeof was === 'string' ? (
        <del className={classes.before} aria-label="Before">
          <Lines parts={parts.filter((it) => it.kind !== 'added')} />
        </del>
      ) : (
        <p className={classes.nothing}>There was none</p>
      )}
      {typeof is === 'string' ? (
        <ins className={classes.after} aria-label="Now">
          <Lines parts={parts.filter((it) => it.kind !== 'removed')} />
        </ins>
      ) : (
        <p className={classes.nothing}>There is none any more</p>
      )}
    </div>
  );
}

/** Lines stay lines; all else that is unseen becomes a token, inside of what has changed, too. */
function Lines({ parts }: { parts: Part[] }) {
  return parts.map(({ text, kind }, at) => {
    const lines = text.split('\n').map((line, number) => (
      // oxlint-disable-next-line react/no-array-index-key
      <span key={number}>
        {number > 0 && '\n'}
        <Visible text={line} />
      </span>
    ));
    return kind === 'same' ? (
      // oxlint-disable-next-line react/no-array-index-key
      <span key={at}>{lines}</span>
    ) : (
      // oxlint-disable-next-line react/no-array-index-key
      <mark key={at} className={classes.word}>
        {lines}
      </mark>
    );
  });
}
