import { ActionIcon, Menu } from '@mantine/core';

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

/** What can be done to the thing of a row. `.` opens it. */
export function RowMenu({ name, deeds }: { name: string; deeds: Deed[] }) {
  if (deeds.length === 0) return null;
  return (
    <Menu position="bottom-end" transitionProps={{ duration: 0 }}>
      <Menu.Target>
        <ActionIcon
          className={classes.menu}
          variant="subtle"
          color="gray"
          size={26}
          data-menu
          aria-label={`Actions for ${name}`}
        >
          <DotsIcon />
        </ActionIcon>
      </Menu.Target>
      <DeedList deeds={deeds} />
    </Menu>
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
