/** How a list is looked at: columns, density, and views that have been given a name. */
import { ActionIcon, Button, Popover, SegmentedControl, TextInput } from '@mantine/core';
import { useState } from 'react';

import { CloseIcon, SlidersIcon } from './icons';
import classes from './list-view.module.css';
import { useViews } from './saved-views';

export interface Choice {
  id: string;
  name: string;
}

interface Props {
  workspace: string;
  list: string;
  columns: Choice[];
  hidden: ReadonlySet<string>;
  isDense: boolean;
  onHide: (hidden: string[]) => void;
  onDense: (isDense: boolean) => void;
  /** Goes to what has been kept. */
  onView: (search: string) => void;
}

export function ListView(props: Props) {
  return (
    <Popover position="bottom-end" trapFocus returnFocus transitionProps={{ duration: 0 }}>
      <Popover.Target>
        <Button variant="default" leftSection={<SlidersIcon size={14} />}>
          View
        </Button>
      </Popover.Target>
      <Popover.Dropdown p={12} aria-label="View" className={classes.box}>
        <Parts {...props} />
      </Popover.Dropdown>
    </Popover>
  );
}

function Parts({ columns, hidden, isDense, onHide, onDense, ...rest }: Props) {
  const toggle = (id: string) =>
    onHide(hidden.has(id) ? [...hidden].filter((it) => it !== id) : [...hidden, id]);
  return (
    <>
      <SegmentedControl
        size="xs"
        fullWidth
        aria-label="Density"
        data-autofocus
        value={isDense ? 'compact' : 'roomy'}
        onChange={(value) => onDense(value === 'compact')}
        transitionDuration={0}
        data={[
          { value: 'roomy', label: 'Roomy' },
          { value: 'compact', label: 'Compact' },
        ]}
      />
      <fieldset className={classes.columns}>
        <legend>Columns</legend>
        {columns.map((it) => (
          <label key={it.id} className={classes.column}>
            <input type="checkbox" checked={!hidden.has(it.id)} onChange={() => toggle(it.id)} />
            {it.name}
          </label>
        ))}
      </fieldset>
      <Views {...rest} />
    </>
  );
}

function Views({ workspace, list, onView }: Pick<Props, 'workspace' | 'list' | 'onView'>) {
  const { views, keep, forget } = useViews(workspace, list);
  const [name, setName] = useState('');
  return (
    <form
      className={classes.views}
      onSubmit={(event) => {
        event.preventDefault();
        if (name.trim() === '') return;
        keep({ name: name.trim(), search: globalThis.location.search });
        setName('');
      }}
    >
      <h2 className={classes.title}>Saved views</h2>
      {views.length === 0 && <p className={classes.none}>None in this browser yet.</p>}
      <ul className={classes.list}>
        {views.map((view) => (
          <li key={view.name} className={classes.view}>
            <button type="button" className={classes.open} onClick={() => onView(view.search)}>
              {view.name}
            </button>
            <ActionIcon
              variant="subtle"
              color="gray"
              size="sm"
              aria-label={`Forget ${view.name}`}
              onClick={() => forget(view.name)}
            >
              <CloseIcon size={12} />
            </ActionIcon>
          </li>
        ))}
      </ul>
      <div className={classes.keep}>
        <TextInput
          aria-label="Name of this view"
          placeholder="Name of this view"
          maxLength={60}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Button type="submit" variant="default" disabled={name.trim() === ''}>
          Save
        </Button>
      </div>
    </form>
  );
}
