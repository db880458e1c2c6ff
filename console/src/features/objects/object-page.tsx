/** The frame of one thing's page. */
import { ActionIcon, Menu } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';

import { BackIcon, DotsIcon } from '@/ui/icons';
import { Page } from '@/ui/page';
import { type Deed, DeedList } from '@/ui/row-menu';
import type { Many } from './nouns';
import { ObjectTabs } from './object-tabs';

interface Props {
  workspace: string;
  many: Many;
  name: string;
  /** How it is, in a word. */
  state?: ReactNode;
  /** The one thing that is done most often; `e` presses it where it is marked. */
  tools?: ReactNode;
  deeds?: Deed[];
  dialog?: ReactNode;
  overview: ReactNode;
  access?: ReactNode;
  hasNoCalls?: boolean;
}

export function ObjectPage({ workspace, many, name, ...props }: Props) {
  return (
    <Page
      title={name}
      trail={
        <Link to="..">
          <BackIcon size={14} /> {titleOf(many)}
        </Link>
      }
      aside={props.state}
      tools={
        <>
          {props.tools}
          {props.deeds && <Actions name={name} deeds={props.deeds} />}
        </>
      }
    >
      {props.dialog}
      <ObjectTabs
        workspace={workspace}
        many={many}
        name={name}
        overview={props.overview}
        access={props.access}
        hasNoCalls={props.hasNoCalls ?? false}
      />
    </Page>
  );
}

/** What else can be done to it. */
export function Actions({ name, deeds }: { name: string; deeds: Deed[] }) {
  if (deeds.length === 0) return null;
  return (
    <Menu position="bottom-end" transitionProps={{ duration: 0 }}>
      <Menu.Target>
        <ActionIcon variant="default" size={30} data-actions aria-label={`Actions for ${name}`}>
          <DotsIcon />
        </ActionIcon>
      </Menu.Target>
      <DeedList deeds={deeds} />
    </Menu>
  );
}

function titleOf(many: Many): string {
  const words = many.replaceAll('-', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
