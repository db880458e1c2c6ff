import { Menu } from '@mantine/core';
import { type ComponentProps, useRef, useState } from 'react';
import { flushSync } from 'react-dom';

import classes from './data-table.module.css';
import { DotsIcon } from './icons';

/** Something that can be done to a thing. */
export interface Deed {
  name: string;
  isDangerous?: boolean;
  /** Why it cannot be done. */
  why?: string | undefined;
  onDo: () => void;
}

interface Props {
  name: string;
  deeds: Deed[];
}

/**
 * What can be done to the thing of a row. `.` opens it. Until then it is a button alone, since a long
 * list has thousands of them.
 */
export function RowMenu({ name, deeds }: Props) {
  const button = useRef<HTMLButtonElement>(null);
  const [isUsed, setIsUsed] = useState(false);
  const [isOpen, setIsOpen] = useState(false);
  const begin = () => {
    flushSync(() => setIsUsed(true));
    // The button that was pressed is gone; this one is where the focus comes back to.
    button.current?.focus();
    setIsOpen(true);
  };
  if (deeds.length === 0) return null;
  if (!isUsed) return <MenuButton name={name} aria-haspopup="menu" onClick={begin} />;
  return (
    <Menu
      position="bottom-end"
      transitionProps={{ duration: 0 }}
      opened={isOpen}
      onChange={setIsOpen}
    >
      <Menu.Target>
        <MenuButton name={name} ref={button} />
      </Menu.Target>
      <DeedList deeds={deeds} />
    </Menu>
  );
}

function MenuButton({ name, ...props }: { name: string } & ComponentProps<'button'>) {
  return (
    <button
      type="button"
      {...props}
      className={classes.menu}
      data-menu
      aria-label={`Actions for ${name}`}
    >
      <DotsIcon />
    </button>
  );
}

export function DeedList({ deeds }: { deeds: Deed[] }) {
  return (
    <Menu.Dropdown>
      {deeds.map((deed) => (
        <Menu.Item
          key={deed.name}
          {...(deed.isDangerous ? { color: 'red' } : {})}
          disabled={deed.why !== undefined}
          title={deed.why}
          onClick={deed.onDo}
        >
          {deed.name}
        </Menu.Item>
      ))}
    </Menu.Dropdown>
  );
}
