/**
 * Which tools of which servers are seen: searched, in groups, picked one by one or many at once.
 *
 * Only what is in sight is in the page, so that many tools are as quick as few.
 */
import { Button, SegmentedControl } from '@mantine/core';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useMemo, useRef, useState } from 'react';

import { Pill, type Tone } from '@/ui/pill';
import { SearchField } from '@/ui/search-field';
import { Visible } from '@/ui/visible';
import {
  type Group,
  type GroupBy,
  groupsOf,
  type Offer,
  type Risk,
  RISK_WORDS,
  tokensOf,
} from './offers';
import classes from './tool-picker.module.css';
import { BECAUSE } from './words';

interface Props {
  offers: Offer[];
  picked: ReadonlySet<string>;
  onPick: (picked: ReadonlySet<string>) => void;
  wanted: string;
  onWant: (wanted: string) => void;
  by: GroupBy;
  onGroup: (by: GroupBy) => void;
}

/** In pixels, and the same in the style sheet. All lines are of one height. */
const LINE_HEIGHT = 46;

/** The address follows when somebody stops typing: each letter would draw the whole page anew. */
const PAUSE_MS = 300;

export function ToolPicker({ offers, picked, onPick, onWant, by, onGroup, ...from }: Props) {
  const [wanted, setWanted] = useState(from.wanted);
  useEffect(() => {
    if (wanted === from.wanted) return undefined;
    const timer = setTimeout(() => onWant(wanted), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [wanted, from.wanted, onWant]);
  const groups = useMemo(() => groupsOf(offers, wanted, by), [offers, wanted, by]);
  const found = groups.flatMap((it) => it.offers);
  const set = (some: Offer[], isPicked: boolean) => {
    const next = new Set(picked);
    for (const { key } of some) {
      if (isPicked) next.add(key);
      else next.delete(key);
    }
    onPick(next);
  };
  return (
    <div className={classes.picker}>
      <div className={classes.bar}>
        <SearchField label="Search tools" value={wanted} onChange={setWanted} />
        <SegmentedControl
          size="xs"
          aria-label="Group by"
          value={by}
          onChange={(value) => onGroup(value === 'risk' ? 'risk' : 'server')}
          transitionDuration={0}
          data={[
            { value: 'server', label: 'By server' },
            { value: 'risk', label: 'By risk' },
          ]}
        />
        <Button variant="default" size="xs" onClick={() => set(found, true)}>
          Pick all {found.length}
        </Button>
        <Button variant="default" size="xs" onClick={() => set(found, false)}>
          Pick none of them
        </Button>
        <span className={classes.count} role="status">
          {found.length} of {offers.length} tools
        </span>
      </div>
      {by === 'risk' && (
        <p className={classes.note}>
          What a tool does is what its server says of it: nobody has checked that.
        </p>
      )}
      <Lines groups={groups} picked={picked} onSet={set} />
    </div>
  );
}

type Line = { group: Group } | { offer: Offer };

interface LinesProps {
  groups: Group[];
  picked: ReadonlySet<string>;
  onSet: (some: Offer[], isPicked: boolean) => void;
}

function Lines({ groups, picked, onSet }: LinesProps) {
  const box = useRef<HTMLDivElement>(null);
  const lines = useMemo(
    () =>
      groups.flatMap((group): Line[] => [{ group }, ...group.offers.map((offer) => ({ offer }))]),
    [groups],
  );
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => box.current,
    estimateSize: () => LINE_HEIGHT,
    overscan: 8,
    // Tests have no layout; browsers measure at once.
    initialRect: { width: 800, height: 600 },
  });
  return (
    <div className={classes.box} ref={box} role="group" aria-label="Tools">
      <div className={classes.lines} style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map(({ index, start }) => {
          const line = lines[index];
          if (!line) return null;
          const key = 'group' in line ? `group ${line.group.name}` : line.offer.key;
          return (
            <div
              key={key}
              className={classes.line}
              style={{ transform: `translateY(${start}px)` }}
              data-line
            >
              {'group' in line ? (
                <GroupLine group={line.group} picked={picked} onSet={onSet} />
              ) : (
                <ToolLine
                  offer={line.offer}
                  isPicked={picked.has(line.offer.key)}
                  onSet={(isPicked) => onSet([line.offer], isPicked)}
                />
              )}
            </div>
          );
        })}
      </div>
      {lines.length === 0 && <p className={classes.none}>No tool matches.</p>}
    </div>
  );
}

interface GroupLineProps {
  group: Group;
  picked: ReadonlySet<string>;
  onSet: (some: Offer[], isPicked: boolean) => void;
}

function GroupLine({ group: { name, offers }, picked, onSet }: GroupLineProps) {
  const count = offers.filter((it) => picked.has(it.key)).length;
  const tokens = tokensOf(offers, picked);
  return (
    <label className={classes.group}>
      <input
        type="checkbox"
        data-row
        data-pick
        aria-label={`All ${offers.length} of ${name}`}
        checked={count === offers.length}
        ref={(box) => {
          if (box) box.indeterminate = count > 0 && count < offers.length;
        }}
        onChange={() => onSet(offers, count < offers.length)}
      />
      <strong>{name}</strong>
      <span className={classes.note}>
        {count} of {offers.length} picked · {tokens.toLocaleString('en')} tokens
      </span>
    </label>
  );
}

interface ToolLineProps {
  offer: Offer;
  isPicked: boolean;
  onSet: (isPicked: boolean) => void;
}

function ToolLine({ offer, isPicked, onSet }: ToolLineProps) {
  const { alias, name, title, description, risk, isSaid, tokens, because, key } = offer;
  // Foreign text: whatever is in it, it is one id.
  const id = `tool-${encodeURIComponent(key)}`;
  return (
    <label className={classes.tool}>
      <input
        type="checkbox"
        data-row
        data-pick
        aria-labelledby={id}
        checked={isPicked}
        onChange={() => onSet(!isPicked)}
      />
      <span className={classes.what}>
        <span id={id} className={classes.name}>
          <span className={classes.alias}>{alias} </span>
          <Visible text={name} />
        </span>
        <span className={classes.says}>
          <Visible text={title ?? ''} />
          {title && description && ': '}
          <Visible text={firstLine(description)} />
        </span>
      </span>
      <span className={classes.marks}>
        {because && NOTED.has(because) && <Pill tone="warn">{BECAUSE[because]}</Pill>}
        <span title={isSaid ? 'The server says so' : 'The server says nothing of it'}>
          <Pill tone={TONES[risk]}>
            {RISK_WORDS[risk]}
            {!isSaid && '?'}
          </Pill>
        </span>
      </span>
      <span className={classes.tokens}>{tokens.toLocaleString('en')}</span>
    </label>
  );
}

const TONES: Record<Risk, Tone> = { read: 'good', write: 'calm', destructive: 'bad' };

/** Reasons that picking does not take away. */
const NOTED = new Set([
  'name_taken',
  'needs_tasks',
  'not_approved',
  'policy',
  'switched_off',
  'withheld',
]);

function firstLine(text: string | null): string {
  return (text ?? '').split('\n')[0] ?? '';
}
